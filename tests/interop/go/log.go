package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/ethereum/go-ethereum/p2p"
)

// failures are the log messages that tell how a connection failed before it was a peer, and
// whether a reason in them was given by the remote. The server tells it nowhere else.
var failures = map[string]bool{
	"Dial error":                      false,
	"Failed RLPx handshake":           false,
	"Rejected peer":                   false,
	"Wrong devp2p handshake identity": false,
	"Failed p2p handshake":            true,
}

// logWatcher turns records of the server's log into events, and drops the others.
type logWatcher struct {
	attrs []slog.Attr
}

func (w *logWatcher) Enabled(context.Context, slog.Level) bool { return true }

func (w *logWatcher) WithGroup(string) slog.Handler { return w }

func (w *logWatcher) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logWatcher{append(append([]slog.Attr{}, w.attrs...), attrs...)}
}

func (w *logWatcher) Handle(_ context.Context, record slog.Record) error {
	values := make(map[string]any)
	for _, a := range w.attrs {
		values[a.Key] = a.Value.Any()
	}
	record.Attrs(func(a slog.Attr) bool {
		values[a.Key] = a.Value.Any()
		return true
	})
	if byRemote, ok := failures[record.Message]; ok {
		reportEnd("setup_failed", values, byRemote)
	} else if record.Message == "Removing p2p peer" {
		byRemote, _ := values["req"].(bool)
		reportEnd("peer_dropped", values, byRemote)
	}
	return nil
}

// reportEnd tells how a connection ended, with the reason's number when one was given.
func reportEnd(name string, values map[string]any, byRemote bool) {
	e := event{"event": name, "error": fmt.Sprint(values["err"]), "by_remote": false}
	if id, ok := values["id"]; ok {
		e["peer"] = fmt.Sprint(id)
	}
	if err, ok := values["err"].(error); ok {
		var reason p2p.DiscReason
		if errors.As(err, &reason) {
			e["reason"], e["by_remote"] = uint8(reason), byRemote
		}
	}
	report(e)
}
