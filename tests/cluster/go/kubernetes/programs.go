//go:build tools

// Package programs names the programs of Kubernetes that the tests' cluster is made of, so that go.mod and go.sum
// beside it pin all they are built from. `cargo xtask cluster up` builds them one by one.
package programs

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager"
	_ "k8s.io/kubernetes/cmd/kube-proxy"
	_ "k8s.io/kubernetes/cmd/kube-scheduler"
	_ "k8s.io/kubernetes/cmd/kubectl"
	_ "k8s.io/kubernetes/cmd/kubelet"
)
