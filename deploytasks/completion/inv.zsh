#compdef inv invoke
# Completion of `inv` and `invoke` in zsh, in repositories with deploytasks: tasks, flags, and what stands in envs/.
#
#   for this shell:  eval "$(python -m deploytasks completion zsh)"
#   for good:        python -m deploytasks completion zsh > FOLDER/_inv, where FOLDER is one of $fpath
#
# It runs the Python below; make the script anew when that has moved. In other repositories it asks Invoke.

_deploytasks_complete() {
  local answer code
  answer=$(@COMMAND@ zsh '' @CORE@ "${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)
  code=$?
  case $code in
    0) compadd -V deploytasks -- ${(f)answer} ;;
    10) compadd -V deploytasks -S ' ' -r ', ' -- ${(f)answer} ;; # a comma takes the blank's place
    11) compset -P '--*='; _files ;;
    12) compadd -- ${(M)${(f)"$($words[1] --complete -- $words 2>/dev/null)"}:#[A-Za-z0-9_.,:=/+@-]##} ;;
  esac
}

if [[ $funcstack[1] == _inv ]]; then
  _deploytasks_complete "$@"
else
  (( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }
  compdef _deploytasks_complete inv invoke
fi
