package main

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/durationpb"
)

// echo gives back the request and its metadata, and sends metadata of every sort: initial, trailing and binary.
func echo(ctx context.Context, request, reply *dynamicpb.Message) error {
	set(reply, "request", protoreflect.ValueOfMessage(request))
	heard := reply.Mutable(field(reply, "metadata")).List()
	incoming, _ := metadata.FromIncomingContext(ctx)
	for _, name := range slices.Sorted(maps.Keys(incoming)) {
		if !strings.HasPrefix(name, "x-") {
			continue
		}
		for _, value := range incoming[name] {
			datum := heard.AppendMutable().Message()
			datum.Set(datum.Descriptor().Fields().ByName("name"), protoreflect.ValueOfString(name))
			datum.Set(datum.Descriptor().Fields().ByName("value"), protoreflect.ValueOfBytes([]byte(value)))
		}
	}
	headers := metadata.Pairs(
		"x-peer", "go",
		"x-peer-many", "one",
		"x-peer-many", "two",
		"x-peer-bin", "\x00\xff\x10",
		"x-peer-secret", "not for clients",
	)
	if err := grpc.SetHeader(ctx, headers); err != nil {
		return err
	}
	return grpc.SetTrailer(ctx, metadata.Pairs("x-peer-trailer", "last"))
}

// fail fails as it is told.
func fail(_ context.Context, request, _ *dynamicpb.Message) error {
	code := codes.Code(request.Get(field(request, "code")).Int())
	failure := status.New(code, request.Get(field(request, "message")).String())
	details := []protoadapt.MessageV1{}
	if reason := request.Get(field(request, "reason")).String(); reason != "" {
		details = append(details,
			&errdetails.ErrorInfo{Reason: reason, Domain: "peer.example", Metadata: map[string]string{"language": "go"}},
			&errdetails.RetryInfo{RetryDelay: durationpb.New(1500 * time.Millisecond)},
		)
	}
	if name := request.Get(field(request, "field")).String(); name != "" {
		violation := &errdetails.BadRequest_FieldViolation{Field: name, Description: "is wrong"}
		details = append(details, &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{violation}})
	}
	failure, err := failure.WithDetails(details...)
	if err != nil {
		return err
	}
	return failure.Err()
}

func field(message *dynamicpb.Message, name protoreflect.Name) protoreflect.FieldDescriptor {
	return message.Descriptor().Fields().ByName(name)
}

func set(message *dynamicpb.Message, name protoreflect.Name, value protoreflect.Value) {
	message.Set(field(message, name), value)
}
