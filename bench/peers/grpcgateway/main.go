// Command grpcgateway is grpc-gateway in front of the bench's upstream: generated code, one connection, and
// ProtoJSON printed as all others in the run print it.
package main

import (
	"context"
	"flag"
	"log"
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"

	"protogate.example/bench/control"
	benchv1 "protogate.example/bench/gen/bench/v1"
)

func main() {
	upstream := flag.String("upstream", "", "host:port of the upstream")
	cert := flag.String("cert", "", "file of a certificate: clients come over TLS")
	key := flag.String("key", "", "file of its key")
	flag.Parse()
	connection, err := grpc.NewClient(*upstream, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	// Its default prints fields that are not set, and ignores unknown ones.
	marshaler := &runtime.HTTPBodyMarshaler{Marshaler: &runtime.JSONPb{
		MarshalOptions:   protojson.MarshalOptions{},
		UnmarshalOptions: protojson.UnmarshalOptions{},
	}}
	mux := runtime.NewServeMux(runtime.WithMarshalerOption(runtime.MIMEWildcard, marshaler))
	if err := benchv1.RegisterBenchServiceHandler(context.Background(), mux, connection); err != nil {
		log.Fatal(err)
	}
	listener, err := control.Listen()
	if err != nil {
		log.Fatal(err)
	}
	if *cert != "" {
		log.Fatal(http.ServeTLS(listener, mux, *cert, *key))
	}
	log.Fatal(http.Serve(listener, mux))
}
