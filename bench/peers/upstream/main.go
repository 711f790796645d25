// Command upstream is the backend of all gateways in a run. It neither parses nor builds messages, so that it costs
// as little as a gRPC server on grpc-go can.
//
// The reply to a method is the file <replies>/<Method>.bin, followed by the request as field 2 where the file's name is
// <Method>.echo.bin.
package main

import (
	"context"
	"encoding/binary"
	"flag"
	"log"
	"os"
	"path/filepath"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"

	"protogate.example/bench/control"
)

func main() {
	replies := flag.String("replies", "", "folder of the replies")
	service := flag.String("service", "bench.v1.BenchService", "full name of the service")
	flag.Parse()
	desc := &grpc.ServiceDesc{ServiceName: *service, HandlerType: (*any)(nil)}
	files, err := filepath.Glob(filepath.Join(*replies, "*.bin"))
	if err != nil {
		log.Fatal(err)
	}
	for _, file := range files {
		reply, err := os.ReadFile(file)
		if err != nil {
			log.Fatal(err)
		}
		name, echo := strings.CutSuffix(strings.TrimSuffix(filepath.Base(file), ".bin"), ".echo")
		desc.Methods = append(desc.Methods, method(name, reply, echo))
	}
	server := grpc.NewServer(grpc.ForceServerCodecV2(raw{}))
	server.RegisterService(desc, nil)
	listener, err := control.Listen()
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(server.Serve(listener))
}

func method(name string, reply []byte, echo bool) grpc.MethodDesc {
	return grpc.MethodDesc{
		MethodName: name,
		Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			var request []byte
			if err := decode(&request); err != nil {
				return nil, err
			}
			if !echo {
				return reply, nil
			}
			const field2 = 2<<3 | 2
			out := make([]byte, 0, len(reply)+len(request)+binary.MaxVarintLen32+1)
			out = append(append(out, reply...), field2)
			out = binary.AppendUvarint(out, uint64(len(request)))
			return append(out, request...), nil
		},
	}
}

// raw passes messages as the bytes that they are.
type raw struct{}

var _ encoding.CodecV2 = raw{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(message any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(message.([]byte))}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, message any) error {
	*message.(*[]byte) = data.Materialize()
	return nil
}
