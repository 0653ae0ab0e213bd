// Stores pages in a table of its own, and counts them in Tallymark in the same transactions: both happen, or neither.
//
//	go mod init report && go mod tidy
//	DATABASE_URL=postgresql://crawler_service@db.example/tallymark go run . JOB PAGE...
//
// The job is registered. The table: CREATE TABLE page (url text NOT NULL).
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
)

const attempts = 10

// mayBeRepeated says whether the same transaction may succeed later. An error without a SQLSTATE is one of the
// connection.
func mayBeRepeated(err error) (bool, string) {
	var known interface{ SQLState() string }
	if !errors.As(err, &known) {
		return true, "no connection"
	}
	state := known.SQLState()
	switch state[:2] {
	case "08", "40", "53", "57":
		return true, state
	}
	return state == "25P03" || state == "25P04" || state == "55P03", state
}

// report stores a page and counts it, once.
func report(ctx context.Context, connection *pgx.Conn, job, page string) error {
	tx, err := connection.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx) // does nothing after a commit
	if _, err = tx.Exec(ctx, "SET LOCAL lock_timeout = '2s'"); err != nil {
		return err
	}
	if _, err = tx.Exec(ctx, "INSERT INTO page (url) VALUES ($1)", page); err != nil {
		return err
	}
	update, err := json.Marshal(map[string]any{"updateId": page, "itemsByType": map[string]int{"pages": 1}})
	if err != nil {
		return err
	}
	// The job is locked from here on, so this comes last.
	var answer []byte
	row := tx.QueryRow(ctx, "SELECT tallymark.merge_progress($1, $2)", job, string(update))
	if err = row.Scan(&answer); err != nil {
		return err
	}
	var told struct{ Duplicate bool }
	if err = json.Unmarshal(answer, &told); err != nil {
		return err
	}
	if told.Duplicate {
		return nil // an earlier attempt was committed, and the page is stored: undo this one
	}
	return tx.Commit(ctx)
}

func main() {
	ctx := context.Background()
	job, pages := os.Args[1], os.Args[2:]
	var connection *pgx.Conn
	for _, page := range pages {
		for attempt := 1; ; attempt++ {
			var err error
			if connection == nil || connection.IsClosed() {
				connection, err = pgx.Connect(ctx, os.Getenv("DATABASE_URL"))
			}
			if err == nil {
				err = report(ctx, connection, job, page)
			}
			if err == nil {
				break
			}
			again, state := mayBeRepeated(err)
			if attempt == attempts || !again {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			fmt.Fprintln(os.Stderr, "again:", state)
			time.Sleep(time.Duration(attempt) * 100 * time.Millisecond)
		}
	}
}
