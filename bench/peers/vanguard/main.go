// Command vanguard is vanguard-go in front of the bench's upstream: it turns REST into gRPC and hands that to a
// reverse proxy which speaks HTTP/2 without TLS, as its documentation shows for backends in other processes.
package main

import (
	"flag"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"

	"connectrpc.com/vanguard"
	"google.golang.org/protobuf/encoding/protojson"

	"protogate.example/bench/control"
	benchv1 "protogate.example/bench/gen/bench/v1"
)

func main() {
	upstream := flag.String("upstream", "", "host:port of the upstream")
	flag.Parse()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	target := &url.URL{Scheme: "http", Host: *upstream}
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(request *httputil.ProxyRequest) { request.SetURL(target) },
		Transport: &http.Transport{Protocols: protocols},
		// Calls that end with the run are no news.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	service := vanguard.NewServiceWithSchema(
		benchv1.File_bench_v1_bench_service_proto.Services().Get(0),
		proxy,
		vanguard.WithTargetProtocols(vanguard.ProtocolGRPC),
		vanguard.WithTargetCodecs(vanguard.CodecProto),
		vanguard.WithNoTargetCompression(),
	)
	// Its default prints fields that are not set, and ignores unknown ones.
	json := func(types vanguard.TypeResolver) vanguard.Codec {
		return vanguard.JSONCodec{
			MarshalOptions:   protojson.MarshalOptions{Resolver: types},
			UnmarshalOptions: protojson.UnmarshalOptions{Resolver: types},
		}
	}
	transcoder, err := vanguard.NewTranscoder([]*vanguard.Service{service}, vanguard.WithCodec(json))
	if err != nil {
		log.Fatal(err)
	}
	listener, err := control.Listen()
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.Serve(listener, transcoder))
}
