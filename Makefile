# The first four need neither root nor Debian. .ci/run is everything.
.PHONY: build test race lint packages

build:
	CGO_ENABLED=0 go build -trimpath .

test:
	go test ./...

race:
	go test -race ./...

lint:
	test -z "$$(gofmt -l . | tee /dev/stderr)" && go vet ./... && GOOS=windows go vet ./... && go run -modfile=.ci/tools/go.mod honnef.co/go/tools/cmd/staticcheck ./...

packages:
	packaging/build
