// Command upstream is the backend of all gateways in a run. It neither parses nor builds messages, so that it costs
// as little as a gRPC server on grpc-go can.
//
// The reply to a method is the file <replies>/<Method>.bin, followed by the request as field 2 where the file's name is
// <Method>.echo.bin. A file <Method>.stream.bin is sent over and over, as the request says. The method RecordTicks counts
// what it gets.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"flag"
	"io"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

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
		base := strings.TrimSuffix(filepath.Base(file), ".bin")
		if name, stream := strings.CutSuffix(base, ".stream"); stream {
			desc.Streams = append(desc.Streams, repeated(name, reply))
			continue
		}
		name, echo := strings.CutSuffix(base, ".echo")
		desc.Methods = append(desc.Methods, method(name, reply, echo))
	}
	desc.Streams = append(desc.Streams, recorder())
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

// repeated answers by a reply as often, and as slowly, as the request says, with a text (field 6) of the size that it asks for.
func repeated(name string, reply []byte) grpc.StreamDesc {
	return grpc.StreamDesc{
		StreamName:    name,
		ServerStreams: true,
		Handler: func(_ any, stream grpc.ServerStream) error {
			var request []byte
			if err := stream.RecvMsg(&request); err != nil {
				return err
			}
			numbers := varints(request)
			message := reply
			if size := numbers[3]; size > 0 {
				const field6 = 6<<3 | 2
				message = append(binary.AppendUvarint(append(slices.Clone(reply), field6), size), bytes.Repeat([]byte("x"), int(size))...)
			}
			interval := time.Duration(numbers[2]) * time.Millisecond
			for range numbers[1] {
				if err := stream.SendMsg(message); err != nil {
					return err
				}
				if interval > 0 {
					time.Sleep(interval)
				}
			}
			return nil
		},
	}
}

// recorder counts messages and their bytes. It takes its time over those that follow one that is named "slow".
func recorder() grpc.StreamDesc {
	return grpc.StreamDesc{
		StreamName:    "RecordTicks",
		ClientStreams: true,
		Handler: func(_ any, stream grpc.ServerStream) error {
			var count, size uint64
			slow := false
			for {
				var message []byte
				err := stream.RecvMsg(&message)
				if err == io.EOF {
					break
				}
				if err != nil {
					return err
				}
				if count == 0 && bytes.HasPrefix(message, []byte("\x0a\x04slow")) {
					slow = true
					time.Sleep(time.Second)
				}
				count++
				size += uint64(len(message))
				if slow && count%64 == 0 {
					time.Sleep(20 * time.Millisecond)
				}
			}
			out := binary.AppendUvarint([]byte{1 << 3}, count)
			return stream.SendMsg(binary.AppendUvarint(append(out, 2<<3), size))
		},
	}
}

// varints gives the numbers of a message that has nothing else, by field.
func varints(message []byte) map[uint64]uint64 {
	numbers := map[uint64]uint64{}
	for len(message) > 0 {
		tag, read := binary.Uvarint(message)
		value, more := binary.Uvarint(message[max(read, 0):])
		if read <= 0 || more <= 0 {
			break
		}
		numbers[tag>>3] = value
		message = message[read+more:]
	}
	return numbers
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
