package loadgen

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"unicode/utf8"
)

const (
	maxErrorBody = 64 << 10 // bytes of an error body that are read
	maxErrorText = 300      // bytes of it that a record keeps
)

// transportOutcome names an error from before the response.
func transportOutcome(err error) (Outcome, string) {
	text := oneLine(err.Error())
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return OutcomeRefused, text
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return OutcomeClientLimit, text + " (raise the limit: ulimit -n)"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return OutcomeClientLimit, text + " (out of local ports: widen net.ipv4.ip_local_port_range)"
	case isTLS(err):
		return OutcomeTLS, text
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF),
		errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		strings.Contains(text, "server closed idle connection"):
		return OutcomeReset, text
	case errors.As(err, &dns), errors.As(err, &op), errors.Is(err, os.ErrDeadlineExceeded):
		return OutcomeUnreachable, text
	}
	return OutcomeBadResponse, text
}

func isTLS(err error) bool {
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var cert *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	return errors.As(err, &record) || errors.As(err, &alert) || errors.As(err, &cert) ||
		errors.As(err, &unknown) || errors.As(err, &host) ||
		strings.Contains(err.Error(), "HTTP response to HTTPS client")
}

// statusOutcome names a response that is not 2xx. Triton sends one whose first
// answer is an error as an event.
func statusOutcome(status int, adapter string, body []byte) (Outcome, string) {
	text := fmt.Sprintf("HTTP %d", status)
	if data, ok := bytes.CutPrefix(bytes.TrimSpace(body), []byte("data:")); ok {
		body, _, _ = bytes.Cut(bytes.TrimSpace(data), []byte("\n"))
	}
	if msg := errorText(body); msg != "" {
		text += ": " + msg
	}
	switch {
	case status == 429:
		return OutcomeHTTP429, text
	case status >= 500:
		return adapterOutcome(adapter, text, OutcomeHTTP5xx), text
	case status >= 400:
		return adapterOutcome(adapter, text, OutcomeHTTP4xx), text
	}
	return OutcomeHTTP3xx, text
}

// bodyOutcome names a 2xx response that is no event stream: servers and proxies
// report errors so too.
func bodyOutcome(contentType, adapter string, body []byte) (Outcome, string) {
	var c chunk
	if c.decode(body) && c.fault != nil {
		text := errorText(body)
		return adapterOutcome(adapter, text, OutcomeStreamError), text
	}
	return OutcomeBadContentType, fmt.Sprintf("answer is %q, not text/event-stream: %s", contentType, errorText(body))
}

// errorText finds the message in an error body of any of the shapes that
// servers use: {"error":{"message"}}, {"error":"…"}, {"message"}, {"detail"} as
// text or list, a bare string, or plain text.
func errorText(body []byte) string {
	var v any
	if json.Unmarshal(body, &v) == nil {
		if msg := findMessage(v); msg != "" {
			return oneLine(msg)
		}
	}
	return oneLine(string(body))
}

func findMessage(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []any:
		if len(v) > 0 {
			return findMessage(v[0])
		}
	case map[string]any:
		for _, key := range []string{"error", "message", "msg", "detail"} {
			if msg := findMessage(v[key]); msg != "" {
				return msg
			}
		}
	}
	return ""
}

// jsonString is the value of a quoted JSON string, the text itself if it is none.
func jsonString(q []byte) string {
	var s string
	if json.Unmarshal(q, &s) != nil {
		return oneLine(string(q))
	}
	return oneLine(s)
}

// oneLine makes text fit a record: one line, valid UTF-8, not long.
func oneLine(s string) string {
	if len(s) > 4*maxErrorText {
		s = s[:4*maxErrorText]
	}
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "\uFFFD")), " ")
	if len(s) <= maxErrorText {
		return s
	}
	cut := maxErrorText
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
