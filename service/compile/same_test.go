package compile

import (
	"net/netip"
	"reflect"
	"testing"

	"tlstunnel/internal/config"
	"tlstunnel/pki/acme"
)

// TestSameAs: two tunnels are the same if their configs, files and CAs are. A difference in
// any field makes them different, also in a field that is added later.
func TestSameAs(t *testing.T) {
	of := func(cfg config.Tunnel, ca acme.Settings) *Prepared {
		return &Prepared{Config: cfg, ACME: &acme.Source{Settings: ca}}
	}
	if !of(filled[config.Tunnel](), filled[acme.Settings]()).SameAs(of(filled[config.Tunnel](), filled[acme.Settings]())) {
		t.Error("the same isn't the same")
	}
	cfg := filled[config.Tunnel]()
	eachChange(reflect.ValueOf(&cfg).Elem(), "config", func(field string) {
		if of(cfg, acme.Settings{}).SameAs(of(filled[config.Tunnel](), acme.Settings{})) {
			t.Errorf("%s is another, and not seen", field)
		}
	})
	ca := filled[acme.Settings]()
	eachChange(reflect.ValueOf(&ca).Elem(), "acme", func(field string) {
		if of(config.Tunnel{}, ca).SameAs(of(config.Tunnel{}, filled[acme.Settings]())) {
			t.Errorf("%s is another, and not seen", field)
		}
	})
	if (&Prepared{digest: [32]byte{1}}).SameAs(new(Prepared)) {
		t.Error("other files aren't seen")
	}
	if (&Prepared{ACME: new(acme.Source)}).SameAs(new(Prepared)) != (new(Prepared)).SameAs(&Prepared{ACME: new(acme.Source)}) {
		t.Error("it depends on the order")
	}
	one, two := config.Tunnel{ALPN: []string{"a b"}}, config.Tunnel{ALPN: []string{"a", "b"}}
	if of(one, acme.Settings{}).SameAs(of(two, acme.Settings{})) {
		t.Errorf("%q and %q look alike when printed, and aren't the same", one.ALPN, two.ALPN)
	}
}

// filled is a T with one element in each slice of it.
func filled[T any]() (v T) {
	fill(reflect.ValueOf(&v).Elem())
	return v
}

func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i))
			}
		}
	}
}

// eachChange gives another value to each field in v, and another length to each slice in it,
// one after the other. It calls try each time, and restores the value.
func eachChange(v reflect.Value, name string, try func(field string)) {
	old := reflect.New(v.Type()).Elem()
	old.Set(v)
	if prefix, ok := v.Addr().Interface().(*netip.Prefix); ok {
		*prefix = netip.MustParsePrefix("192.0.2.0/24")
		try(name)
		v.Set(old)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			eachChange(v.Field(i), name+"."+v.Type().Field(i).Name, try)
		}
		return
	case reflect.Slice:
		eachChange(v.Index(0), name+"[0]", try)
		v.Set(reflect.Append(v, v.Index(0)))
	case reflect.String:
		v.SetString("another")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	default:
		panic("a field of a new kind: " + name + " " + v.Type().String())
	}
	try(name)
	v.Set(old)
}
