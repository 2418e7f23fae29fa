// The peer of the observer's handshakes: Go's crypto/tls, the engine of most TLS probes and exporters.
// Usage: peer ADDRESS SERVER-NAME COUNT IN-FLIGHT. Full handshakes, any certificate taken, the chain hashed.
package main

import (
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
)

func main() {
	address, name := os.Args[1], os.Args[2]
	count, _ := strconv.ParseInt(os.Args[3], 10, 64)
	inFlight, _ := strconv.Atoi(os.Args[4])
	// No ClientSessionCache: no session is resumed. The handshake's signature is verified all the same.
	config := &tls.Config{ServerName: name, InsecureSkipVerify: true}
	var begun, done atomic.Int64
	var workers sync.WaitGroup
	for range inFlight {
		workers.Go(func() {
			for begun.Add(1) <= count {
				connection, err := tls.Dial("tcp", address, config)
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				for _, certificate := range connection.ConnectionState().PeerCertificates {
					_ = sha256.Sum256(certificate.Raw)
				}
				connection.Close()
				done.Add(1)
			}
		})
	}
	workers.Wait()
	fmt.Println(done.Load())
}
