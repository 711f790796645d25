package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// order is one call that callKinds makes, or the id of one that it cancels: see child-client.ts.
type order struct {
	ID          int      `json:"id"`
	Method      string   `json:"method"`
	Requests    [][]byte `json:"requests"`
	TimeoutMs   int      `json:"timeout_ms"`
	CancelAfter int      `json:"cancel_after"`
	Tag         string   `json:"tag"`
	Cancel      int      `json:"cancel"`
}

type outcome struct {
	ID        int      `json:"id"`
	Responses [][]byte `json:"responses"`
	Code      int      `json:"code"`
	Message   string   `json:"message"`
	Details   []byte   `json:"details"`
	Initial   string   `json:"initial"`
	Trailing  string   `json:"trailing"`
}

// raw takes messages for bytes.
type raw struct{}

func (raw) Name() string                        { return "proto" }
func (raw) Marshal(message any) ([]byte, error) { return *message.(*[]byte), nil }
func (raw) Unmarshal(bytes []byte, message any) error {
	*message.(*[]byte) = append([]byte{}, bytes...)
	return nil
}

// callKinds calls peer.v1.KindsService as the lines of standard input say.
func callKinds(address, authority string) {
	security := insecure.NewCredentials()
	if authority != "" {
		var err error
		if security, err = credentials.NewClientTLSFromFile(authority, ""); err != nil {
			log.Fatal(err)
		}
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(security),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})),
	}
	connection, err := grpc.NewClient("passthrough:///"+address, options...)
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	var mutex sync.Mutex
	cancels := map[int]context.CancelFunc{}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var order order
		if err := json.Unmarshal(lines.Bytes(), &order); err != nil {
			log.Fatal(err)
		}
		if order.Cancel != 0 {
			cancels[order.Cancel]()
			continue
		}
		ctx := metadata.AppendToOutgoingContext(context.Background(), "x-request-tag", order.Tag)
		ctx, cancels[order.ID] = context.WithCancel(ctx)
		go func() {
			text, err := json.Marshal(call(ctx, connection, order, cancels[order.ID]))
			if err != nil {
				log.Fatal(err)
			}
			mutex.Lock()
			defer mutex.Unlock()
			fmt.Println(string(text))
		}()
	}
}

func call(ctx context.Context, connection *grpc.ClientConn, order order, cancel context.CancelFunc) outcome {
	if order.TimeoutMs > 0 {
		limited, release := context.WithTimeout(ctx, time.Duration(order.TimeoutMs)*time.Millisecond)
		defer release()
		ctx = limited
	}
	desc := &grpc.StreamDesc{
		ServerStreams: order.Method == "Server" || order.Method == "Bidi",
		ClientStreams: order.Method == "Client" || order.Method == "Bidi",
	}
	told := outcome{ID: order.ID, Responses: [][]byte{}}
	stream, err := connection.NewStream(ctx, desc, "/peer.v1.KindsService/"+order.Method)
	if err == nil {
		for _, request := range order.Requests {
			if err := stream.SendMsg(&request); err != nil {
				break
			}
		}
		_ = stream.CloseSend()
		for err == nil {
			var response []byte
			if err = stream.RecvMsg(&response); err != nil {
				break
			}
			told.Responses = append(told.Responses, response)
			if len(told.Responses) == order.CancelAfter {
				cancel()
			}
			if !desc.ServerStreams {
				err = io.EOF
			}
		}
		initial, _ := stream.Header()
		told.Initial = first(initial, "x-initial")
		told.Trailing = first(stream.Trailer(), "x-trailing")
		told.Details = []byte(first(stream.Trailer(), "grpc-status-details-bin"))
	}
	if !errors.Is(err, io.EOF) {
		told.Code = int(status.Code(err))
		told.Message = status.Convert(err).Message()
	}
	return told
}

func first(all metadata.MD, name string) string {
	if values := all.Get(name); len(values) > 0 {
		return values[0]
	}
	return ""
}
