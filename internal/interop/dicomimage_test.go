//go:build linux

package interop

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// The image is square, with 16 bits a pixel: 54,080,000 bytes.
const imageEdge = 5200

// Unique identifiers of DICOM (PS3.6, annex A). Anybody may use those below 2.25 (PS3.5,
// section B.2).
const (
	explicitVRLittleEndian = "1.2.840.10008.1.2.1"
	secondaryCapture       = "1.2.840.10008.5.1.4.1.1.7"
	imageUID               = "2.25.20240229"
)

// image is a Secondary Capture object of deterministic noise: the data set as it
// goes over the network.
var image = sync.OnceValue(func() []byte {
	var d dataset
	text := func(tag uint32, vr, value string) { d.element(tag, vr, []byte(value)) }
	number := func(tag uint32, n uint16) { d.element(tag, "US", binary.LittleEndian.AppendUint16(nil, n)) }
	text(0x00080016, "UI", secondaryCapture)
	text(0x00080018, "UI", imageUID)
	text(0x00080020, "DA", "20240229")
	text(0x00080030, "TM", "120000")
	text(0x00080050, "SH", "")
	text(0x00080060, "CS", "OT")
	text(0x00080064, "CS", "WSD")
	text(0x00080090, "PN", "")
	text(0x00100010, "PN", "Interop^Test")
	text(0x00100020, "LO", "1")
	text(0x00100030, "DA", "")
	text(0x00100040, "CS", "O")
	text(0x0020000D, "UI", imageUID+".1")
	text(0x0020000E, "UI", imageUID+".2")
	text(0x00200010, "SH", "1")
	text(0x00200011, "IS", "1")
	text(0x00200013, "IS", "1")
	number(0x00280002, 1) // samples per pixel
	text(0x00280004, "CS", "MONOCHROME2")
	number(0x00280010, imageEdge)
	number(0x00280011, imageEdge)
	number(0x00280100, 16) // bits allocated
	number(0x00280101, 16) // bits stored
	number(0x00280102, 15) // high bit
	number(0x00280103, 0)  // unsigned
	pixels := make([]byte, 2*imageEdge*imageEdge)
	_, _ = rand.NewChaCha8([32]byte{'d', 'i', 'c', 'o', 'm'}).Read(pixels)
	d.element(0x7FE00010, "OW", pixels)
	return d.Bytes()
})

// dataset writes elements in explicit VR little endian (PS3.5, section 7.1.2).
type dataset struct{ bytes.Buffer }

func (d *dataset) element(tag uint32, vr string, value []byte) {
	length := len(value) + len(value)%2
	b := binary.LittleEndian.AppendUint16(nil, uint16(tag>>16))
	b = binary.LittleEndian.AppendUint16(b, uint16(tag))
	b = append(b, vr...)
	if vr == "OB" || vr == "OW" {
		b = binary.LittleEndian.AppendUint32(append(b, 0, 0), uint32(length))
	} else {
		b = binary.LittleEndian.AppendUint16(b, uint16(length))
	}
	d.Write(b)
	d.Write(value)
	switch {
	case len(value)%2 == 0:
	case vr == "UI" || vr == "OB":
		d.WriteByte(0)
	default:
		d.WriteByte(' ')
	}
}

// writeImage writes the image as a DICOM file (PS3.10, section 7.1).
func writeImage(t *testing.T) string {
	t.Helper()
	var meta dataset
	meta.element(0x00020001, "OB", []byte{0, 1})
	meta.element(0x00020002, "UI", []byte(secondaryCapture))
	meta.element(0x00020003, "UI", []byte(imageUID))
	meta.element(0x00020010, "UI", []byte(explicitVRLittleEndian))
	meta.element(0x00020012, "UI", []byte(imageUID+".3"))

	var head dataset
	head.Write(make([]byte, 128))
	head.WriteString("DICM")
	head.element(0x00020000, "UL", binary.LittleEndian.AppendUint32(nil, uint32(meta.Len())))
	head.Write(meta.Bytes())

	file, err := os.Create(filepath.Join(t.TempDir(), "image.dcm"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.Write(head.Bytes())
	if err == nil {
		_, err = file.Write(image())
	}
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	return file.Name()
}

// datasetOf is what follows the meta information of a DICOM file.
func datasetOf(t *testing.T, file string) []byte {
	t.Helper()
	const groupLength = 128 + 4 + 8 // where the length of the meta information is
	data := readFile(t, file)
	if len(data) < groupLength+4 || string(data[128:132]) != "DICM" {
		t.Fatalf("%s isn't a DICOM file", file)
	}
	start := groupLength + 4 + int(binary.LittleEndian.Uint32(data[groupLength:]))
	return data[min(start, len(data)):]
}
