package usage

import "strconv"

// accessTypes are the values of NAS-Port-Type as IANA names them.
var accessTypes = [...]string{
	0: "Async", 1: "Sync", 2: "ISDN Sync", 3: "ISDN Async V.120", 4: "ISDN Async V.110",
	5: "Virtual", 6: "PIAFS", 7: "HDLC Clear Channel", 8: "X.25", 9: "X.75", 10: "G.3 Fax",
	11: "SDSL", 12: "ADSL-CAP", 13: "ADSL-DMT", 14: "IDSL", 15: "Ethernet", 16: "xDSL", 17: "Cable",
	18: "Wireless - Other", 19: "Wireless - IEEE 802.11", 20: "Token-Ring", 21: "FDDI",
	22: "Wireless - CDMA2000", 23: "Wireless - UMTS", 24: "Wireless - 1X-EV", 25: "IAPP", 26: "FTTP",
	27: "Wireless - IEEE 802.16", 28: "Wireless - IEEE 802.20", 29: "Wireless - IEEE 802.22",
	30: "PPPoA", 31: "PPPoEoA", 32: "PPPoEoE", 33: "PPPoEoVLAN", 34: "PPPoEoQinQ", 35: "xPON", 36: "Wireless - XGP",
}

// AccessType names a NAS-Port-Type; one without a name here keeps its number.
func AccessType(v uint32) string {
	if v < uint32(len(accessTypes)) {
		return accessTypes[v]
	}
	return "NAS-Port-Type " + strconv.FormatUint(uint64(v), 10)
}

// radioTypes are the values of 3GPP-RAT-Type (3GPP TS 29.061 section
// 16.4.7.2, TS 29.274 section 8.17).
var radioTypes = map[uint8]string{
	1: "UTRAN", 2: "GERAN", 3: "WLAN", 4: "GAN", 5: "HSPA Evolution", 6: "EUTRAN", 7: "Virtual", 8: "EUTRAN-NB-IoT",
	9: "LTE-M", 10: "NR", 101: "IEEE 802.16e", 102: "3GPP2 eHRPD", 103: "3GPP2 HRPD", 104: "3GPP2 1xRTT", 105: "3GPP2 UMB",
}

// RAT names a 3GPP-RAT-Type; one without a name here keeps its number.
func RAT(v uint8) string {
	if name, ok := radioTypes[v]; ok {
		return name
	}
	return "3GPP-RAT-Type " + strconv.Itoa(int(v))
}
