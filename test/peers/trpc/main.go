// A tRPC-Go server with one method, /test.Service/Echo, which returns its request or fails as the request says.
// It prints the port that it listens on, and ends with its standard input.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	trpc "trpc.group/trpc-go/trpc-go"
	"trpc.group/trpc-go/trpc-go/codec"
	"trpc.group/trpc-go/trpc-go/errs"
	"trpc.group/trpc-go/trpc-go/log"
	"trpc.group/trpc-go/trpc-go/server"
)

func echo(_ interface{}, ctx context.Context, decode server.FilterFunc) (interface{}, error) {
	request := &codec.Body{}
	if _, err := decode(request); err != nil {
		return nil, err
	}
	switch string(request.Data) {
	case "business":
		return nil, errs.New(10001, "business says no")
	case "overload":
		return nil, errs.NewFrameError(22, "busy")
	case "plain":
		return nil, errors.New("out of cheese")
	case "panic":
		panic("out of cheese")
	}
	trpc.SetMetaData(ctx, "x-total", []byte("7"))
	return &codec.Body{Data: request.Data}, nil
}

func main() {
	log.SetLevel("0", log.LevelFatal)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	instance := server.New(
		server.WithServiceName("test.Service"),
		server.WithProtocol("trpc"),
		server.WithNetwork("tcp"),
		server.WithListener(listener),
		server.WithCurrentSerializationType(codec.SerializationTypeNoop),
	)
	description := &server.ServiceDesc{
		ServiceName: "test.Service",
		HandlerType: (*interface{})(nil),
		Methods:     []server.Method{{Name: "/test.Service/Echo", Func: echo}},
	}
	if err := instance.Register(description, struct{}{}); err != nil {
		panic(err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Printf("listening %d\n", listener.Addr().(*net.TCPAddr).Port)
	if err := instance.Serve(); err != nil {
		panic(err)
	}
}
