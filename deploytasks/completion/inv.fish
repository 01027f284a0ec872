# Completion of `inv` and `invoke` in fish, in repositories with deploytasks: tasks, flags, and what stands in envs/.
#
#   for this shell:  python -m deploytasks completion fish | source
#   for good:        mkdir -p ~/.config/fish/completions
#                    python -m deploytasks completion fish > ~/.config/fish/completions/inv.fish
#                    ln -s inv.fish ~/.config/fish/completions/invoke.fish
#
# It runs the Python below; make the script anew when that has moved. In other repositories it asks Invoke.

function __deploytasks_complete
    set -l words (commandline -opc)
    set -l last (commandline -ct)
    set -q last[1]; or set last ''
    set -l answer (@COMMAND@ fish '' @CORE@ $words $last 2>/dev/null)
    switch $status
        case 0 10
            string split \n -- $answer
        case 11
            __fish_complete_path $last
        case 12
            $words[1] --complete -- $words $last 2>/dev/null | string match -r '^[A-Za-z0-9_.,:=/+@-]+$'
    end
end

complete -c inv -f -k -a '(__deploytasks_complete)'
complete -c invoke -f -k -a '(__deploytasks_complete)'
