// cert-manager's controller and webhook, put together from its module: the programs themselves cannot be had as Go
// modules, nor can the client library of one of its issuers. What is here is what the tests need: issuers that sign with a
// CA or themselves, every controller that renews, stores and reports, metrics, and the admission webhook. Without leader
// election, for there is one. The flags are those the chart passes; those that mean nothing here are taken and ignored.
//
// This module's path lies below cert-manager's, which lets it use the webhook's internal package.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	config "github.com/cert-manager/cert-manager/internal/apis/config/webhook"
	"github.com/cert-manager/cert-manager/internal/webhook"
	"github.com/cert-manager/cert-manager/pkg/controller"
	logf "github.com/cert-manager/cert-manager/pkg/logs"

	// Each registers itself.
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/approver"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/ca"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/selfsigned"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/issuing"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/keymanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/readiness"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/requestmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/revisionmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/trigger"
	_ "github.com/cert-manager/cert-manager/pkg/controller/clusterissuers"
	_ "github.com/cert-manager/cert-manager/pkg/controller/issuers"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/ca"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/selfsigned"
)

// many is a flag that may be given more than once.
type many []string

func (m *many) String() string { return strings.Join(*m, ",") }

func (m *many) Set(value string) error {
	*m = append(*m, value)
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	ctx = logf.NewContext(ctx, logf.Log)
	err := errors.New("the first argument is controller or webhook")
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "controller":
			err = runController(ctx, os.Args[2:])
		case "webhook":
			err = runWebhook(ctx, os.Args[2:])
		}
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func runController(ctx context.Context, arguments []string) error {
	flags := flag.NewFlagSet("controller", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "the account of the pod when empty")
	namespace := flags.String("cluster-resource-namespace", "cert-manager", "of the Secrets of ClusterIssuers")
	metrics := flags.String("metrics-listen-address", "0.0.0.0:9402", "")
	health := flags.String("healthz-listen-address", "0.0.0.0:9403", "")
	for _, name := range []string{"v", "leader-election-namespace", "acme-http01-solver-image", "max-concurrent-challenges"} {
		flags.String(name, "", "ignored")
	}
	if err := flags.Parse(arguments); err != nil {
		return err
	}

	factory, err := controller.NewContextFactory(ctx, controller.ContextOptions{
		Kubeconfig:         *kubeconfig,
		KubernetesAPIQPS:   20,
		KubernetesAPIBurst: 50,
		IssuerOptions:      controller.IssuerOptions{ClusterResourceNamespace: *namespace},
		CertificateOptions: controller.CertificateOptions{
			CertificateRequestMinimumBackoffDuration: time.Hour,
			CertificateRequestMaximumBackoffDuration: 32 * time.Hour,
		},
	})
	if err != nil {
		return err
	}
	shared, err := factory.Build()
	if err != nil {
		return err
	}
	shared.Metrics.SetupCertificateCollector(shared.SharedInformerFactory.Certmanager().V1().Certificates().Lister())
	shared.Metrics.SetupIssuerCollector(shared.SharedInformerFactory.Certmanager().V1().Issuers().Lister())
	shared.Metrics.SetupClusterIssuerCollector(shared.SharedInformerFactory.Certmanager().V1().ClusterIssuers().Lister())

	failed := make(chan error, 1)
	serve := func(address string, server func(net.Listener) *http.Server) error {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		go func() { failed <- server(listener).Serve(listener) }()
		return nil
	}
	if err := serve(*metrics, shared.Metrics.NewServer); err != nil {
		return err
	}
	alive := http.NewServeMux()
	alive.HandleFunc("/livez", func(answer http.ResponseWriter, _ *http.Request) { fmt.Fprintln(answer, "ok") })
	if err := serve(*health, func(net.Listener) *http.Server { return &http.Server{Handler: alive} }); err != nil {
		return err
	}

	for name, construct := range controller.Known() {
		loop, err := construct(factory)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		go func() {
			if err := loop.Run(5, ctx); err != nil {
				failed <- fmt.Errorf("%s: %w", name, err)
			}
		}()
	}
	shared.SharedInformerFactory.Start(ctx.Done())
	shared.KubeSharedInformerFactory.Start(ctx.Done())
	shared.HTTP01ResourceMetadataInformersFactory.Start(ctx.Done())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

func runWebhook(ctx context.Context, arguments []string) error {
	flags := flag.NewFlagSet("webhook", flag.ExitOnError)
	var names many
	kubeconfig := flags.String("kubeconfig", "", "the account of the pod when empty")
	port := flags.Int("secure-port", 6443, "")
	health := flags.Int("healthz-port", 6080, "")
	namespace := flags.String("dynamic-serving-ca-secret-namespace", "", "")
	secret := flags.String("dynamic-serving-ca-secret-name", "", "")
	flags.Var(&names, "dynamic-serving-dns-names", "")
	metrics := flags.String("metrics-listen-address", "0.0.0.0:9402", "")
	flags.String("v", "", "ignored")
	if err := flags.Parse(arguments); err != nil {
		return err
	}

	options := config.WebhookConfiguration{
		SecurePort:           int32(*port),
		HealthzPort:          int32(*health),
		KubeConfig:           *kubeconfig,
		MetricsListenAddress: *metrics,
	}
	options.TLSConfig.Dynamic.SecretNamespace = *namespace
	options.TLSConfig.Dynamic.SecretName = *secret
	options.TLSConfig.Dynamic.DNSNames = names
	options.TLSConfig.Dynamic.LeafDuration = 7 * 24 * time.Hour
	server, err := webhook.NewCertManagerWebhookServer(logf.Log, options)
	if err != nil {
		return err
	}
	return server.Run(ctx)
}
