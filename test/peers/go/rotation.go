package main

import (
	"context"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// visits counts calls by id.
type visits struct {
	mutex sync.Mutex
	count map[string]int
}

func (v *visits) add(id string) {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	v.count[id]++
}

// totals gives how many ids were seen, and how many of them more than once.
func (v *visits) totals() (processed, repeated int) {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	for _, count := range v.count {
		if count > 1 {
			repeated++
		}
	}
	return len(v.count), repeated
}

// follows is how often a stream gives its id back.
const follows = 3

// each hands over the requests of a stream until there are no more.
func each(stream grpc.ServerStream, input protoreflect.MessageDescriptor, handle func(*dynamicpb.Message) error) error {
	for {
		request := dynamicpb.NewMessage(input)
		if err := stream.RecvMsg(request); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := handle(request); err != nil {
			return err
		}
	}
}

func rotationDesc(service protoreflect.ServiceDescriptor, seen *visits) *grpc.ServiceDesc {
	visit := service.Methods().ByName("Visit")
	answer := func(request *dynamicpb.Message) *dynamicpb.Message {
		reply := dynamicpb.NewMessage(visit.Output())
		set(reply, "id", request.Get(field(request, "id")))
		return reply
	}
	return &grpc.ServiceDesc{
		ServiceName: string(service.FullName()),
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{
			MethodName: "Visit",
			Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
				request := dynamicpb.NewMessage(visit.Input())
				if err := decode(request); err != nil {
					return nil, err
				}
				seen.add(request.Get(field(request, "id")).String())
				return answer(request), nil
			},
		}},
		Streams: []grpc.StreamDesc{{
			StreamName:    "Follow",
			ServerStreams: true,
			Handler: func(_ any, stream grpc.ServerStream) error {
				request := dynamicpb.NewMessage(visit.Input())
				if err := stream.RecvMsg(request); err != nil {
					return err
				}
				seen.add(request.Get(field(request, "id")).String())
				for range follows {
					if err := stream.SendMsg(answer(request)); err != nil {
						return err
					}
				}
				return nil
			},
		}, {
			StreamName:    "Collect",
			ClientStreams: true,
			Handler: func(_ any, stream grpc.ServerStream) error {
				var first *dynamicpb.Message
				err := each(stream, visit.Input(), func(request *dynamicpb.Message) error {
					if first == nil {
						first = request
						seen.add(request.Get(field(request, "id")).String())
					}
					return nil
				})
				if err != nil {
					return err
				}
				return stream.SendMsg(answer(first))
			},
		}, {
			StreamName:    "Converse",
			ClientStreams: true,
			ServerStreams: true,
			Handler: func(_ any, stream grpc.ServerStream) error {
				begun := false
				return each(stream, visit.Input(), func(request *dynamicpb.Message) error {
					if !begun {
						begun = true
						seen.add(request.Get(field(request, "id")).String())
					}
					return stream.SendMsg(answer(request))
				})
			},
		}},
		Metadata: service.ParentFile().Path(),
	}
}
