import { choice } from "../spec/values.ts";
import type { Verb } from "../verb.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;

/** Each asks `fleet __complete` with the words up to the cursor; names of services and the like are live. */
const SCRIPTS: Readonly<Record<(typeof SHELLS)[number], string>> = {
  bash: `# bash completion for fleet
_fleet() {
  local line value files=
  COMPREPLY=()
  while IFS= read -r line; do
    if [ "$line" = :files ]; then files=yes; continue; fi
    value=\${line%%$'\\t'*}
    COMPREPLY+=("$(printf %q "$value")")
  done < <(fleet __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  if [ -n "$files" ]; then
    compopt -o filenames 2>/dev/null
    while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}")
  fi
}
complete -F _fleet fleet
`,
  zsh: `#compdef fleet
_fleet() {
  local line files=
  local -a found
  while IFS= read -r line; do
    if [[ $line == :files ]]; then files=yes; continue; fi
    local value=\${line%%$'\\t'*} help=
    [[ $line == *$'\\t'* ]] && help=\${line#*$'\\t'}
    found+=("\${value//:/\\\\:}\${help:+:$help}")
  done < <(fleet __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)
  (( \${#found} )) && _describe -V fleet found
  [[ -n $files ]] && _files
  return 0
}
if [ "$funcstack[1]" = _fleet ]; then _fleet "$@"; else compdef _fleet fleet; fi
`,
  fish: `# fish completion for fleet
function __fleet_complete
  set -l words (commandline -opc) (commandline -ct)
  for line in (fleet __complete $words[2..-1] 2>/dev/null)
    if test "$line" = :files
      __fish_complete_path (commandline -ct)
    else
      echo $line
    end
  end
end
complete -c fleet -f -a '(__fleet_complete)'
`,
};

export const verb: Verb = {
  define(command) {
    command.argument("<shell>", "bash, zsh or fish", choice(...SHELLS))
      .addHelpText(
        "after",
        "\nWhat it completes is asked of fleet itself: commands, flags, and the names there are now.",
      )
      .examples(
        "source <(fleet completion bash)",
        "fleet completion bash >/usr/share/bash-completion/completions/fleet",
        "fleet completion zsh >/usr/local/share/zsh/site-functions/_fleet",
        "fleet completion fish >~/.config/fish/completions/fleet.fish",
      );
  },
  run({ env }, [shell]) {
    env.stdout.write(SCRIPTS[shell as (typeof SHELLS)[number]]);
    return Promise.resolve();
  },
};
