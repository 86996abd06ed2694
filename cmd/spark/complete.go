package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/spark-harness/harness/hypotheses"
)

// completeWord is the first argument by which the shells' scripts ask what may
// come next; the words of the command line follow, the one under the cursor last.
const completeWord = "__complete"

// printCandidates writes what may stand in the place of the last word, one a
// line; nothing where a file is wanted or nothing is known.
func printCandidates(w io.Writer, root *kong.Node, words []string) {
	for _, c := range candidates(root, words) {
		fmt.Fprintln(w, c)
	}
}

func candidates(root *kong.Node, words []string) []string {
	// Bash takes --flag=value apart.
	if n := len(words); n > 0 && words[n-1] == "=" {
		words[n-1] = ""
	}
	words = slices.DeleteFunc(words, func(w string) bool { return w == "=" })
	if len(words) == 0 {
		words = []string{""}
	}
	last := words[len(words)-1]
	node, given, flag := walk(root, words[:len(words)-1])
	name, part, joined := strings.Cut(last, "=")
	switch {
	case flag != nil:
		return starting(last, "", valuesOf(flag.Value))
	case joined && strings.HasPrefix(name, "--"):
		if f := flagOf(node, name); f != nil {
			return starting(part, name+"=", valuesOf(f.Value))
		}
		return nil
	case strings.HasPrefix(last, "-"):
		return starting(last, "", flagNames(node))
	}
	var offered []string
	for _, child := range node.Children {
		if !child.Hidden && child.Type == kong.CommandNode {
			offered = append(offered, child.Name)
		}
	}
	if at := min(len(given), len(node.Positional)-1); at >= 0 && (len(given) <= at || node.Positional[at].IsCumulative()) {
		for _, v := range valuesOf(node.Positional[at]) {
			if !slices.Contains(given, v) {
				offered = append(offered, v)
			}
		}
	}
	return starting(last, "", offered)
}

// walk follows whole words from the root: the command that they name, its
// arguments, and the flag that still waits for its value.
func walk(root *kong.Node, words []string) (node *kong.Node, given []string, flag *kong.Flag) {
	node = root
	for _, w := range words {
		switch {
		case flag != nil:
			flag = nil
		case strings.HasPrefix(w, "-"):
			if f := flagOf(node, w); f != nil && !f.IsBool() && !strings.Contains(w, "=") {
				flag = f
			}
		default:
			at := slices.IndexFunc(node.Children, func(c *kong.Node) bool { return c.Name == w })
			if at < 0 {
				given = append(given, w)
				continue
			}
			node = node.Children[at]
		}
	}
	return node, given, flag
}

// flagOf finds a flag as it was typed.
func flagOf(node *kong.Node, typed string) *kong.Flag {
	name, _, _ := strings.Cut(typed, "=")
	for _, group := range node.AllFlags(true) {
		for _, f := range group {
			if "--"+f.Name == name || f.Short != 0 && "-"+string(f.Short) == name {
				return f
			}
		}
	}
	return nil
}

func flagNames(node *kong.Node) []string {
	var names []string
	for _, group := range node.AllFlags(true) {
		for _, f := range group {
			names = append(names, "--"+f.Name)
		}
	}
	slices.Sort(names)
	return names
}

// valuesOf are a value's choices: kong's enum, else the tag "choices".
func valuesOf(v *kong.Value) []string {
	if v.Name == "hypothesis" {
		var ids []string
		for _, h := range hypotheses.All() {
			ids = append(ids, h.ID)
		}
		return ids
	}
	if v.Enum != "" {
		return v.EnumSlice()
	}
	if list := v.Tag.Get("choices"); list != "" {
		return strings.Split(list, ",")
	}
	return nil
}

// starting are those of list that begin with part, each after before.
func starting(part, before string, list []string) []string {
	var out []string
	for _, c := range list {
		if strings.HasPrefix(c, part) {
			out = append(out, before+c)
		}
	}
	return out
}
