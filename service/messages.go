package service

import (
	"tlstunnel/internal/logging"
	"tlstunnel/pki/acme"
)

// Log messages that more than one place needs.
const (
	msgStarted        = "started"
	msgStopped        = "stopped"
	msgReloaded       = "reloaded"
	msgRenewed        = "server certificate renewed"
	msgListensAgain   = "the tunnel was left out, and listens now"
	msgLeftOut        = "the tunnel is left out, and tried again"
	msgRenewalFailed  = "server certificate not renewed"
	msgCRLFailed      = "CRL not signed anew"
	msgReloadRefused  = "reload refused, nothing was changed"
	msgRefreshed      = "files read anew"
	msgExpiry         = "a certificate expires soon, or isn't valid now"
	msgRefreshRefused = "not all files could be read anew"
	msgConfig         = "the config has a warning"
)

// Messages are the log messages of the service itself, not of its connections. The journal of
// systemd shows all of them, the Event Log those with an event.
var Messages = logging.Messages{
	msgStarted:           logging.EventStarted,
	msgStopped:           logging.EventStopped,
	msgReloaded:          logging.EventReloaded,
	msgRenewed:           logging.EventRenewed,
	msgListensAgain:      logging.EventListensAgain,
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
	"the control channel can't be opened: status and reload don't work until it can": 0,
	"the files can't be watched: reload by hand":                                     0,
	"a folder can't be watched: its files are compared once a second instead":        0,
	"watching the files": 0,
}
