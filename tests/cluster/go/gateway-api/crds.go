//go:build tools

// Package crds pins the Gateway API, whose definitions (config/crd) the tests' cluster is given.
package crds

import _ "sigs.k8s.io/gateway-api/pkg/consts"
