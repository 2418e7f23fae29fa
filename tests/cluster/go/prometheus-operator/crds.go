//go:build tools

// Package crds pins Prometheus' operator, whose definitions (example/prometheus-operator-crd) the tests' cluster is given.
package crds

import _ "github.com/prometheus-operator/prometheus-operator/pkg/versionutil"
