# Completion of `inv` and `invoke` in bash, in repositories with deploytasks: tasks, flags, and what stands in envs/.
#
#   for this shell:  eval "$(python -m deploytasks completion bash)"
#   for good:        mkdir -p ~/.local/share/bash-completion/completions  # read by the package bash-completion
#                    python -m deploytasks completion bash > ~/.local/share/bash-completion/completions/inv
#                    ln -s inv ~/.local/share/bash-completion/completions/invoke
#
# It runs the Python below; make the script anew when that has moved. In other repositories it asks Invoke.

_deploytasks_complete() {
  local answer code each
  COMPREPLY=()
  answer=$(@COMMAND@ bash "$COMP_WORDBREAKS" @CORE@ "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
  code=$?
  case $code in
    0) ;;
    10) type compopt >/dev/null 2>&1 && compopt -o nospace ;; # macOS' own bash has none
    11) type compopt >/dev/null 2>&1 && compopt -o default ;;
    12) answer=$("$1" --complete -- "${COMP_WORDS[@]}" 2>/dev/null) ;;
    *) answer= ;;
  esac
  while IFS= read -r each; do
    [[ $each =~ ^[A-Za-z0-9_.,:=/+@-]+$ && ($code != 12 || $each == "$2"*) ]] && COMPREPLY+=("$each")
  done <<<"$answer"
}

complete -o nosort -F _deploytasks_complete inv invoke 2>/dev/null || complete -F _deploytasks_complete inv invoke
