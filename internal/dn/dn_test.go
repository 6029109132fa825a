package dn

import (
	"crypto/x509/pkix"
	"testing"
)

func TestText(t *testing.T) {
	for _, test := range []struct {
		fields []pkix.AttributeTypeAndValue
		want   string
	}{
		{nil, ""},
		{
			[]pkix.AttributeTypeAndValue{
				{Type: []int{2, 5, 4, 6}, Value: "KR"}, {Type: []int{2, 5, 4, 10}, Value: "Example Co., Ltd."},
				{Type: []int{2, 5, 4, 3}, Value: "영상 7"}, {Type: []int{1, 2, 840, 113549, 1, 9, 1}, Value: "a@b.example"},
			},
			`C=KR, O="Example Co., Ltd.", CN=영상 7, emailAddress=a@b.example`,
		},
		{ // as of Active Directory
			[]pkix.AttributeTypeAndValue{
				{Type: []int{0, 9, 2342, 19200300, 100, 1, 25}, Value: "example"}, {Type: []int{0, 9, 2342, 19200300, 100, 1, 25}, Value: "clinic"},
				{Type: []int{2, 5, 4, 3}, Value: "clinic-CA"},
			},
			"DC=example, DC=clinic, CN=clinic-CA",
		},
		{
			[]pkix.AttributeTypeAndValue{
				{Type: []int{2, 5, 4, 3}, Value: "evil\x1b[2J"}, {Type: []int{2, 5, 4, 3}, Value: "a, CN=b"}, {Type: []int{2, 5, 4, 3}, Value: ""},
				{Type: []int{1, 2, 3}, Value: 4},
			},
			`CN="evil\x1b[2J", CN="a, CN=b", CN="", 1.2.3=4`,
		},
	} {
		if got := Text(pkix.Name{Names: test.fields}); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}
