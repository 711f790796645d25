// Command peer is a gRPC backend on grpc-go for the gateway's tests. It parses its proto when it starts, so that it
// has neither generated code nor anything else in common with the gateway.
//
// It prints its port as one line and runs until its standard input is closed; then it prints how many ids
// RotationService has seen, and how many of them more than once.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strings"

	"github.com/bufbuild/protocompile"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
)

func main() {
	imports := flag.String("imports", "", "folders of .proto files, separated by commas")
	version := flag.String("reflection", "v1", "server reflection to offer: v1, v1alpha or none")
	age := flag.Duration("max-connection-age", 0, "after which a connection is told to go away; 0: never")
	gateway := flag.String("call", "", "calls peer.v1.KindsService at this address instead, as standard input says")
	authority := flag.String("authority", "", "certificate of that address, a file; without it plain text is spoken")
	flag.Parse()
	if *gateway != "" {
		callKinds(*gateway, *authority)
		return
	}
	files, err := compile(strings.Split(*imports, ","), "peer/v1/peer_service.proto", "peer/v1/rotation_service.proto")
	if err != nil {
		log.Fatal(err)
	}
	descriptor, err := files.FindDescriptorByName("peer.v1.PeerService")
	if err != nil {
		log.Fatal(err)
	}

	rotation, err := files.FindDescriptorByName("peer.v1.RotationService")
	if err != nil {
		log.Fatal(err)
	}
	seen := &visits{count: map[string]int{}}
	server := grpc.NewServer(grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: *age}))
	server.RegisterService(serviceDesc(descriptor.(protoreflect.ServiceDescriptor)), nil)
	server.RegisterService(rotationDesc(rotation.(protoreflect.ServiceDescriptor), seen), nil)
	healthpb.RegisterHealthServer(server, health.NewServer())
	options := reflection.ServerOptions{
		Services:           server,
		DescriptorResolver: files,
		ExtensionResolver:  extensions(files),
	}
	switch *version {
	case "v1":
		reflectionv1.RegisterServerReflectionServer(server, reflection.NewServerV1(options))
	case "v1alpha":
		reflectionv1alpha.RegisterServerReflectionServer(server, reflection.NewServer(options))
	}

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		server.Stop()
	}()
	if err := server.Serve(listener); err != nil {
		log.Fatal(err)
	}
	processed, repeated := seen.totals()
	fmt.Println(processed, repeated)
}

// compile gives the files and all that they import.
func compile(imports []string, paths ...string) (*protoregistry.Files, error) {
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: imports}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	linked, err := compiler.Compile(context.Background(), paths...)
	if err != nil {
		return nil, err
	}
	files := new(protoregistry.Files)
	for _, file := range linked {
		if err := register(files, file); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func register(files *protoregistry.Files, file protoreflect.FileDescriptor) error {
	if _, err := files.FindFileByPath(file.Path()); err == nil {
		return nil
	}
	imports := file.Imports()
	for i := range imports.Len() {
		if err := register(files, imports.Get(i).FileDescriptor); err != nil {
			return err
		}
	}
	return files.RegisterFile(file)
}

// extensions gives the custom options among the files, which reflection tells about, too.
func extensions(files *protoregistry.Files) *protoregistry.Types {
	types := new(protoregistry.Types)
	files.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		declared := file.Extensions()
		for i := range declared.Len() {
			if err := types.RegisterExtension(dynamicpb.NewExtensionType(declared.Get(i))); err != nil {
				log.Fatal(err)
			}
		}
		return true
	})
	return types
}

// handler answers one method: it reads the request and fills the reply.
type handler func(ctx context.Context, request, reply *dynamicpb.Message) error

var handlers = map[protoreflect.Name]handler{"Echo": echo, "Fail": fail}

func serviceDesc(service protoreflect.ServiceDescriptor) *grpc.ServiceDesc {
	desc := &grpc.ServiceDesc{
		ServiceName: string(service.FullName()),
		HandlerType: (*any)(nil),
		Metadata:    service.ParentFile().Path(),
	}
	methods := service.Methods()
	for i := range methods.Len() {
		method := methods.Get(i)
		handle := handlers[method.Name()]
		desc.Methods = append(desc.Methods, grpc.MethodDesc{
			MethodName: string(method.Name()),
			Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
				request := dynamicpb.NewMessage(method.Input())
				if err := decode(request); err != nil {
					return nil, err
				}
				reply := dynamicpb.NewMessage(method.Output())
				if err := handle(ctx, request, reply); err != nil {
					return nil, err
				}
				return reply, nil
			},
		})
	}
	return desc
}
