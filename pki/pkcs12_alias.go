package pki

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"
	"unicode/utf16"
)

// The PKCS#12 library can name the certificates of a trust store, but not a key: Java would call
// it "1". The types below are the parts of a PKCS#12 file around a key's name (RFC 7292,
// section 4).
type (
	pfx struct {
		Version  int
		AuthSafe contentInfo
		MacData  macData
	}
	macData struct {
		Mac struct {
			Algorithm pkix.AlgorithmIdentifier
			Digest    []byte
		}
		Salt       []byte
		Iterations int `asn1:"optional,default:1"`
	}
	safeBag struct {
		ID         asn1.ObjectIdentifier
		Value      asn1.RawValue  `asn1:"tag:0,explicit"`
		Attributes []attributeSet `asn1:"set,optional"`
	}
	attributeSet struct {
		ID     asn1.ObjectIdentifier
		Values asn1.RawValue `asn1:"set"`
	}
)

var (
	oidData         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidShroudedKey  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 2}
	oidFriendlyName = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 20}
	oidSHA1         = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	oidSHA256       = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
)

// nameKey gives the keys in a PKCS#12 file of ours a name. The encryption stays. The MAC is
// computed again with the password.
func nameKey(file []byte, name, password string) ([]byte, error) {
	var p pfx
	var safe []byte
	var contents []contentInfo
	if !unmarshalWhole(file, &p) || !unmarshalWhole(p.AuthSafe.Content.Bytes, &safe) || !unmarshalWhole(safe, &contents) {
		return nil, errors.New("encoding PKCS#12: it can't be read back")
	}
	for i := range contents {
		if contents[i].Type.Equal(oidData) { // certificates are in encrypted data
			if err := nameKeyIn(&contents[i], name); err != nil {
				return nil, err
			}
		}
	}
	safe, err := asn1.Marshal(contents)
	if err != nil {
		return nil, err
	}
	if p.AuthSafe.Content, err = explicit(safe); err != nil {
		return nil, err
	}
	if p.MacData.Mac.Digest, err = p.MacData.sum(safe, password); err != nil {
		return nil, err
	}
	return asn1.Marshal(p)
}

func nameKeyIn(content *contentInfo, name string) error {
	var data []byte
	var bags []safeBag
	if !unmarshalWhole(content.Content.Bytes, &data) || !unmarshalWhole(data, &bags) {
		return errors.New("encoding PKCS#12: its key can't be read back")
	}
	value, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagBMPString, Bytes: bmp(name)})
	if err != nil {
		return err
	}
	for i := range bags {
		if bags[i].ID.Equal(oidShroudedKey) {
			bags[i].Attributes = append(bags[i].Attributes, attributeSet{oidFriendlyName, asn1.RawValue{Tag: asn1.TagSet, IsCompound: true, Bytes: value}})
		}
	}
	if data, err = asn1.Marshal(bags); err != nil {
		return err
	}
	content.Content, err = explicit(data)
	return err
}

// explicit is the octet string data as the content of a contentInfo.
func explicit(data []byte) (asn1.RawValue, error) {
	octets, err := asn1.Marshal(data)
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: octets}, err
}

// sum is the MAC by RFC 7292, appendix B. Its key is no longer than the hash, so that one
// round of B.2 is enough.
func (m macData) sum(message []byte, password string) ([]byte, error) {
	hashes := map[string]func() hash.Hash{oidSHA1.String(): sha1.New, oidSHA256.String(): sha256.New}
	newHash, ok := hashes[m.Mac.Algorithm.Algorithm.String()]
	if !ok {
		return nil, fmt.Errorf("encoding PKCS#12: the MAC %s is unknown", m.Mac.Algorithm.Algorithm)
	}
	h := newHash()
	block := h.BlockSize()
	repeat := func(b []byte) []byte {
		var all []byte
		for size := (len(b) + block - 1) / block * block; len(all) < size; {
			all = append(all, b...)[:min(size, len(all)+len(b))]
		}
		return all
	}
	for range block {
		h.Write([]byte{3}) // a key for a MAC
	}
	h.Write(repeat(m.Salt))
	h.Write(repeat(append(bmp(password), 0, 0)))
	key := h.Sum(nil)
	for range m.Iterations - 1 {
		h.Reset()
		h.Write(key)
		key = h.Sum(nil)
	}
	mac := hmac.New(newHash, key)
	mac.Write(message)
	return mac.Sum(nil), nil
}

// bmp returns text in UTF-16, big endian.
func bmp(text string) (b []byte) {
	for _, unit := range utf16.Encode([]rune(text)) {
		b = append(b, byte(unit>>8), byte(unit))
	}
	return b
}

// contentInfo is what the parts of PKCS#12 are wrapped in (RFC 2315, section 7).
type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"explicit,optional,tag:0"`
}

func unmarshalWhole(der []byte, into any) bool {
	rest, err := asn1.Unmarshal(der, into)
	return err == nil && len(rest) == 0
}
