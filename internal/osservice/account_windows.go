package osservice

import (
	"strings"

	"golang.org/x/sys/windows"
)

// Registered returns the config and the account that the service is registered with. The error
// wraps [ErrNotInstalled] if it isn't registered.
func Registered() (configFile, account string, err error) {
	r, err := queryRegistration()
	if err != nil {
		return "", "", err
	}
	return registeredConfig(r.commandLine), r.account, nil
}

// RegisteredSID returns the SID of the account that an administrator has given the service, ""
// if there is none.
func RegisteredSID() string {
	_, account, err := Registered()
	if err != nil {
		return ""
	}
	sid, _, _, err := windows.LookupSID("", strings.TrimPrefix(account, `.\`))
	if err != nil {
		return ""
	}
	return sid.String()
}
