package tasks_test

import (
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/hashline/hashline/tasks"
)

// A program that has a client already shares it: here one of a Cluster, under a prefix of its own.
func ExampleNewConn() {
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"redis-0:6379", "redis-1:6379", "redis-2:6379"}})
	defer client.Close()
	conn, err := tasks.NewConn(client, tasks.WithPrefix("reports"))
	if err != nil {
		fmt.Println(err)
		return
	}
	config := tasks.Config{Conn: conn, Queue: "reports"}
	fmt.Println(config.Queue)
	// Output: reports
}
