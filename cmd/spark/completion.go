package main

import "fmt"

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help teaches by examples.
func (completionCmd) Help() string {
	return `It prints a script for the shell, which asks spark itself what may come next: commands, flags, their values, hypotheses.

Examples:

    source <(spark completion bash)                      # this shell; or in ~/.bashrc
    source <(spark completion zsh)                       # or in ~/.zshrc, after compinit
    spark completion fish > ~/.config/fish/completions/spark.fish`
}

// The scripts hand over the words up to the cursor. Where spark has nothing to
// offer, the shell completes files.
const (
	bashScript = `_spark() {
  local IFS=$'\n'
  COMPREPLY=($("$1" ` + completeWord + ` "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o bashdefault -o default -F _spark spark
`
	zshScript = `#compdef spark
_spark() {
  local -a offered
  offered=("${(@f)$("${words[1]}" ` + completeWord + ` "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "${offered[1]}" ]]; then
    compadd -- "${offered[@]}"
  else
    _files
  fi
}
compdef _spark spark
`
	fishScript = `function __spark_offers
  set -l before (commandline -opc)
  set -l word (commandline -ct)
  $before[1] ` + completeWord + ` $before[2..-1] "$word" 2>/dev/null
end
complete -c spark -f -n 'count (__spark_offers) >/dev/null' -a '(__spark_offers)'
`
)

// Run prints the script.
func (c completionCmd) Run(s streams) error {
	_, err := fmt.Fprint(s.out, map[string]string{"bash": bashScript, "zsh": zshScript, "fish": fishScript}[c.Shell])
	return err
}
