package peer

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
)

// Page asks a hub's administration port for a path and gives the status code
// and the whole answer.
func Page(admin netip.AddrPort, path string) (code int, body string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), requestLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin.String()+path, nil)
	if err != nil {
		return 0, "", err
	}
	req.Close = true // no idle connection outlives the test
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// Good is Page where any status but 200 is an error.
func Good(admin netip.AddrPort, path string) (string, error) {
	code, body, err := Page(admin, path)
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("%s: %d: %s", path, code, body)
	}
	return body, err
}
