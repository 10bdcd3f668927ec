// Command oracle answers questions about URLs, HTTP proxies and credentials with Go's own standard library,
// so that tests can compare this crate with it.
package main

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
)

type parsedURL struct {
	Error, Scheme, Host, Hostname, Port, Path, Query, Fragment, Text string
	HasPassword                                                      bool
}

type route struct {
	Error, Proxy, ProxyHost string
}

func main() {
	switch os.Args[1] {
	case "urls":
		answer(parse)
	case "proxies":
		answer(proxyFor)
	case "credentials":
		recordCredentials()
	}
}

// answer reads a JSON list of texts and writes a JSON list of answers.
func answer[T any](question func(text string) T) {
	var texts []string
	check(json.NewDecoder(os.Stdin).Decode(&texts))
	answers := make([]T, 0, len(texts))
	for _, text := range texts {
		answers = append(answers, question(text))
	}
	check(json.NewEncoder(os.Stdout).Encode(answers))
}

func parse(text string) parsedURL {
	u, err := url.Parse(text)
	if err != nil {
		return parsedURL{Error: err.Error()}
	}
	_, hasPassword := u.User.Password()
	return parsedURL{
		Scheme: u.Scheme, Host: u.Host, Hostname: u.Hostname(), Port: u.Port(), Path: u.EscapedPath(),
		Query: u.RawQuery, Fragment: u.EscapedFragment(), Text: u.String(), HasPassword: hasPassword,
	}
}

func proxyFor(text string) route {
	u, err := url.Parse(text)
	check(err)
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u})
	switch {
	case err != nil:
		return route{Error: err.Error()}
	case proxy == nil:
		return route{}
	}
	return route{Proxy: proxy.String(), ProxyHost: proxy.Host}
}

// recordCredentials serves HTTPS and writes the user name each request carries, until its input ends. First it
// writes its address, and its certificate to the file named by its argument.
func recordCredentials() {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		fmt.Printf("%s %s:%s\n", r.URL.Path, user, password)
		http.NotFound(w, r)
	}))
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	check(os.WriteFile(os.Args[2], certificate, 0o600))
	fmt.Println(server.Listener.Addr())
	io.Copy(io.Discard, os.Stdin)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
