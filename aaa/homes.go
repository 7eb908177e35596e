package aaa

import (
	"go.uber.org/zap"

	"github.com/roamgate/roamgate/aaa/home"
)

// SetUse lets the operator drain, disable or enable a home, until a time in
// Unix seconds or, with 0, until told otherwise. It outlives reloads of the
// files, not the process.
func (h *Hub) SetUse(name string, use home.Use, until int64) error {
	if err := h.homes.SetUse(name, use, until); err != nil {
		return err
	}
	h.log.Warn("home set by the operator", zap.String("home", name), zap.Stringer("use", use), zap.Int64("until", until))
	return nil
}
