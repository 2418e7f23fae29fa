//go:build tools

// Package programs names helm's command, so that go.mod and go.sum beside it pin all it is built from.
package programs

import _ "helm.sh/helm/v4/cmd/helm"
