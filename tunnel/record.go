package tunnel

// A record of TLS, as far as it is the same in all versions.
const (
	recordAlert       = 21
	recordHandshake   = 22
	recordApplication = 23       // in TLS 1.3 anything that is encrypted
	recordHeader      = 5        // bytes: type, version, length
	maxRecord         = 16 << 10 // bytes that one carries at the most (RFC 8446, section 5.1)
)
