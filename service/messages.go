package service

import (
	"tlstunnel/internal/logging"
	"tlstunnel/pki/acme"
)

// Messages of the log that several places need.
const (
	msgStarted        = "started"
	msgStopped        = "stopped"
	msgReloaded       = "reloaded"
	msgRenewed        = "server certificate renewed"
	msgLetIn          = "the tunnel was left out, and listens now"
	msgLeftOut        = "the tunnel is left out, and tried again"
	msgRenewalFailed  = "server certificate not renewed"
	msgCRLFailed      = "CRL not signed anew"
	msgReloadRefused  = "reload refused, nothing was changed"
	msgRefreshed      = "files read anew"
	msgExpiry         = "a certificate expires soon, or isn't valid now"
	msgRefreshRefused = "not all files could be read anew"
	msgConfig         = "the config has a warning"
)

// Messages are those of the service itself, not of its connections: for the Event Log, if
// they are events, and for the journal of systemd.
var Messages = logging.Messages{
	msgStarted:           logging.EventStarted,
	msgStopped:           logging.EventStopped,
	msgReloaded:          logging.EventReloaded,
	msgRenewed:           logging.EventRenewed,
	msgLetIn:             logging.EventLetIn,
	msgLeftOut:           logging.EventLeftOut,
	msgRenewalFailed:     logging.EventRenewalFailed,
	msgCRLFailed:         logging.EventCRLFailed,
	msgReloadRefused:     logging.EventReloadRefused,
	msgExpiry:            logging.EventExpiry,
	msgConfig:            logging.EventConfig,
	acme.MsgFailed:       logging.EventACME,
	msgRefreshRefused:    logging.EventRefresh,
	logging.FatalMessage: logging.EventFatal,

	"starting":       0,
	"listening":      0,
	"stopping":       0,
	"tunnel stopped": 0,
	msgRefreshed:     0,
	acme.MsgOrdering: 0,
	acme.MsgNew:      0,
	"systemd has opened another address than listen has":                             0,
	"made a new CA or server certificate; keep ca.key safe, and give clients ca.crt": 0,
	"shutdown_grace was over before all connections had ended":                       0,
	"no control channel: status and reload have to do without":                       0,
	"the files can't be watched: reload by hand":                                     0,
	"a folder can't be watched: its files are looked at once a second instead":       0,
	"watching the files": 0,
}
