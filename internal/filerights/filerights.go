// Package filerights does work on files with the rights of another user than the one
// that runs this process. Root needs it in the folders of others, the service's own
// above all: with root's rights, a link that the folder's owner has put there would
// make root read or replace any file of the machine.
//
//	err := filerights.AsOwner(dir, func() error { return os.WriteFile(filepath.Join(dir, "a"), data, 0o600) })
//
// Linux alone has rights by thread. Elsewhere the work is done with the rights that
// this process has.
package filerights

import "fmt"

// Refused is the error if the owner of a folder may not do what root could.
type Refused struct {
	error
	owner string
}

func (r Refused) Unwrap() error { return r.error }

func (r Refused) Error() string {
	return fmt.Sprintf("%v: root works there with the rights of the folder's owner, the user %q: let that user pass the folders above, and own all that is in it (`chown -R`), or give the folder to root", r.error, r.owner)
}
