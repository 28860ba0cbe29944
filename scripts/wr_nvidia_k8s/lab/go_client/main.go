// SPDX-License-Identifier: MIT

// Time calls of the device plugin API as the kubelet makes them: with grpc-go, over a connection of its own.
//
//	go_client SOCKET METHOD CALLS <REQUEST
//
// The request is the message's bytes. It prints how long each call took, in nanoseconds, one a line.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// raw passes messages through as bytes, under the name of the codec that the server expects.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(message any) ([]byte, error) { return *message.(*[]byte), nil }

func (raw) Unmarshal(data []byte, message any) error {
	*message.(*[]byte) = append([]byte(nil), data...)
	return nil
}

func run(socket, method, count string) error {
	calls, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	request, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	connection, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
	if err != nil {
		return err
	}
	defer connection.Close()
	times := make([]time.Duration, calls)
	for index := range times {
		var response []byte
		began := time.Now()
		if err := connection.Invoke(context.Background(), method, &request, &response); err != nil {
			return err
		}
		times[index] = time.Since(began)
	}
	output := bufio.NewWriter(os.Stdout)
	for _, taken := range times {
		fmt.Fprintln(output, taken.Nanoseconds())
	}
	return output.Flush()
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: go_client SOCKET METHOD CALLS <REQUEST")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}
