// Gives the descriptors of real APIs from their Go packages: as .proto files and by server reflection.
//
//	real-apis -out DIR      writes DIR/<api>/**.proto for the APIs whose packages carry no .proto files
//	real-apis -serve        serves one reflection server an API; prints "<api> <port>" lines, ends with its standard input
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/jhump/protoreflect/v2/protoprint"
	"google.golang.org/grpc"
	"google.golang.org/grpc/reflection"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

type api struct {
	name string
	// Packages of the services that count.
	packages []string
	// Whether the Go module carries the .proto files.
	carriesFiles bool
}

var apis = []api{
	{"etcd", []string{"etcdserverpb"}, true},
	{"containerd", []string{"containerd.services"}, true},
	{"openfga", []string{"openfga.v1"}, false},
	{"spicedb", []string{"authzed.api.v1"}, false},
	{"temporal", []string{"temporal.api.workflowservice.v1", "temporal.api.operatorservice.v1"}, false},
}

func main() {
	out := flag.String("out", "", "folder to write to")
	serve := flag.Bool("serve", false, "serve reflection")
	flag.Parse()
	for _, a := range apis {
		if *out != "" && !a.carriesFiles {
			if err := a.write(*out); err != nil {
				log.Fatalf("%s: %v", a.name, err)
			}
		}
		if *serve {
			port, err := a.serve()
			if err != nil {
				log.Fatalf("%s: %v", a.name, err)
			}
			fmt.Println(a.name, port)
		}
	}
	if *serve {
		fmt.Println("ready")
		_, _ = io.Copy(io.Discard, os.Stdin)
	}
}

func (a api) services() []protoreflect.ServiceDescriptor {
	var found []protoreflect.ServiceDescriptor
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			inside := func(name string) bool {
				return string(file.Package()) == name || strings.HasPrefix(string(file.Package()), name+".")
			}
			if slices.ContainsFunc(a.packages, inside) {
				found = append(found, service)
			}
		}
		return true
	})
	sort.Slice(found, func(i, j int) bool { return found[i].FullName() < found[j].FullName() })
	return found
}

// files returns the files of the services with all that they import, each after its imports.
func (a api) files() []protoreflect.FileDescriptor {
	var files []protoreflect.FileDescriptor
	seen := map[string]bool{}
	var add func(protoreflect.FileDescriptor)
	add = func(file protoreflect.FileDescriptor) {
		if seen[file.Path()] {
			return
		}
		seen[file.Path()] = true
		for i := range file.Imports().Len() {
			imported, err := protoregistry.GlobalFiles.FindFileByPath(file.Imports().Get(i).Path())
			if err != nil {
				log.Fatalf("%s: %s imports %s: %v", a.name, file.Path(), file.Imports().Get(i).Path(), err)
			}
			add(imported)
		}
		files = append(files, file)
	}
	for _, service := range a.services() {
		add(service.ParentFile())
	}
	return files
}

func (a api) write(folder string) error {
	printer := protoprint.Printer{}
	for _, file := range a.files() {
		text, err := printer.PrintProtoToString(file)
		if err != nil {
			return fmt.Errorf("%s: %w", file.Path(), err)
		}
		path := filepath.Join(folder, a.name, file.Path())
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// GetServiceInfo names the services for reflection; none of them is implemented.
func (a api) GetServiceInfo() map[string]grpc.ServiceInfo {
	info := map[string]grpc.ServiceInfo{}
	for _, service := range a.services() {
		info[string(service.FullName())] = grpc.ServiceInfo{}
	}
	return info
}

func (a api) serve() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	server := grpc.NewServer()
	reflectionv1.RegisterServerReflectionServer(server, reflection.NewServerV1(reflection.ServerOptions{Services: a}))
	go func() { _ = server.Serve(listener) }()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
