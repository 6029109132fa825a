package chain

import (
	"strings"

	"tlstunnel/internal/quote"
)

// A Fault says what is wrong with a chain and what to do. Its code is that of a [Kind].
type Fault struct{ Code, What, Remedy string }

func (f *Fault) Error() string {
	if strings.HasPrefix(f.Remedy, "if ") {
		return f.What + "; " + f.Remedy
	}
	return f.What + ": " + f.Remedy
}

// A Kind is a row in the table of faults. newFault fills in the words in braces.
type Kind struct{ Code, What, Remedy string }

const (
	wasntSent = "the certificate of {issuer}, which issued {cert}, wasn't sent"
	addsIt    = "{owner}'s administrator adds it to the file of its certificate"
	isValid   = "{cert} is valid from {from} to {to}, and here it is {now}"
)

// Kinds are the faults for which we refuse the chain of another program.
var Kinds = []Kind{
	{"missing_intermediate", wasntSent, addsIt + ", or you add it to {list}"},
	{"stale_intermediate", wasntSent + ", but one of the same name with another key, as from before a renewal", addsIt + " in its place, or you add it to {list}"},
	{"unknown_issuer", wasntSent + " and isn't trusted here{more}", "if that is a CA between it and one that is trusted, " + addsIt + "; else, if you trust it, add its certificate to {list}"},
	{"unknown_ca", "the CA {subject} (SHA-256 {fingerprint}) isn't trusted here{more}", "if you trust it, add its certificate to {list}"},
	{"unknown_self_signed", "the self-signed certificate {subject} (SHA-256 {fingerprint}) isn't trusted here{more}", "if you trust it, add its certificate to {list}"},
	{"other_ca_of_that_name", "{cert} wasn't signed by the CA {issuer} that is in {list} (SHA-256 {fingerprint}), but by one of the same name with another key", "perhaps that CA was made anew; if you trust the new one, add its certificate too"},
	{"expired", isValid, "renew it, or set this machine's clock right"},
	{"not_yet_valid", isValid, "set this machine's clock right, or wait"},
	{"expired_ca", isValid, "get the present certificate of that CA, and put it into {list}"},
	{"expired_intermediate", isValid, "{owner}'s administrator puts the present certificate of that CA into the file of its certificate"},
	{"old_signature", "{cert} is signed with {with}, which isn't accepted", "have it issued anew"},
	{"signed_by_no_ca", "the certificate {cert} is signed by {signer}, which isn't a CA (CA:FALSE), so that no peer accepts it", "get one from a CA"},
	{"signed_without_right", "the certificate {cert} is signed by {signer}, which may not sign certificates (its key usage), so that no peer accepts it", "get one from a CA"},
	{"issuer_misspelt", "{cert} is signed by {signer}, but doesn't have exactly that name as its issuer", "have it issued anew"},
	{"wrong_use", "{cert} isn't meant for TLS {use}, but for {usages} (extended key usage)", "have one issued with the extended usage {wanted}"},
	{"ca_of_wrong_use", "the CA {cert} may not issue certificates for TLS {use}, but only for {usages} (extended key usage)", "have a certificate issued by another CA"},
	{"chain_of_wrong_use", "its chain isn't meant for TLS {use} (extended key usage)", "have one issued by another CA"},
	{"name_constraints", "a CA of its chain may not issue certificates for its names (name constraints: {detail})", "have one issued by another CA"},
	{"path_length", "a CA of its chain may have fewer CAs below it (path length)", "have one issued by another CA"},
	{"unverifiable", "its chain can't be verified", "{err}"},
}

// ownKinds are the faults in the chain of our own certificate file.
var ownKinds = []Kind{
	{"own_old_signature", "{cert} is signed with {with}, which others refuse", "have it issued anew, with SHA-256 or better"},
	{"own_stale_intermediate", "the certificate of {issuer} in the chain has another key than the one that signed {cert}, as from before a renewal", "get the present chain from the CA"},
	{"own_missing_intermediate", "the chain ends with {cert}, and its issuer {issuer} isn't in it", "unless that is a root that the other side has, an intermediate certificate is missing, which the CA offers as chain or bundle"},
	{"own_not_yet_valid", "{cert} isn't valid before {from}, and the clock says {now}", "check the clock of this machine"},
	{"own_expired", "{cert} expired on {to}", "renew it"},
	{"own_expired_intermediate", "{cert} expired on {to}", "get the present chain from the CA"},
}

var kinds = func() map[string]Kind {
	all := make(map[string]Kind)
	for _, k := range append(ownKinds, Kinds...) {
		all[k.Code] = k
	}
	return all
}()

// newFault returns the Fault of a kind with its words filled in.
func newFault(code string, values ...string) *Fault {
	k := kinds[code]
	return &Fault{code, quote.Fill(k.What, values...), quote.Fill(k.Remedy, values...)}
}
