#!/bin/sh
# my_plugin: logs each Task that gets a certain status. POSIX sh and sed, no more.
#
# The daemon writes one JSON object per line to stdin. What stands on stdout is the protocol, what stands on stderr our log.
# Inside a JSON string every quote has a backslash before it, so "entity_id": can only be the real member.

manifest='{"name":"my_plugin","version":"0.1.0","description":"Logs each Task that gets a certain status.",'\
'"subscriptions":[{"events":{"Shotgun_Task_Change":["sg_status_list"]},"where":[["user","is_not","self"]]}],'\
'"permissions":{"sg":["find:Task"]}}'
status=fin # [plugin.my_plugin] config = { status = "…" }

on_start() { # on_start LINE: what the operator configured
    given=$(text status "$1")
    status=${given:-fin}
}

on_event() { # on_event REQUEST LINE: runs once for each event; its answer settles it
    if [ "$(text new_value "$2")" != "$status" ]; then
        answer "$1" '{"status":"skip","reason":"not this status"}'
        return
    fi
    task=$(number entity_id "$2")
    if ! call "$1" sg.find_one '"entity_type":"Task","filters":[["id","is",'"$task"']],"fields":["content"]'; then
        fail "$1" "the site refused; see the log"
    elif [ -z "$(text content "$reply")" ]; then
        answer "$1" '{"status":"skip","reason":"the Task is gone"}'
    else
        log "task is $status: $(text content "$reply")"
        answer "$1" '{"status":"ok"}'
    fi
}

# From here on it is the same in every plugin.

calls=0
say() { printf '%s\n' "$*"; } # one line to the daemon
log() { printf '%s\n' "$*" >&2; }
if [ -t 0 ]; then
    folder=$(cd "$(dirname "$0")" && pwd)
    log "$(basename "$0") is a plugin of sgeventd, which starts it and talks to it through a pipe: nobody types to it."
    log "  check it:  sgeventd check $folder"
    log "  run it:    [plugins] paths = [\"${folder%/*}\"] in sgeventd.toml, then sgeventd run -c sgeventd.toml"
    exit 64
fi
number() { # number NAME JSON: the integer behind "NAME":
    printf '%s\n' "$2" | sed -n 's/^\(.*[{,]\)\{0,1\} *"'"$1"'": *\([0-9][0-9]*\).*/\2/p'
}
text() { # text NAME JSON: the text behind "NAME":, as JSON writes it
    printf '%s\n' "$2" | sed -nE 's/^.*[{,] *"'"$1"'": *"(([^"\\]|\\.)*)".*/\1/p'
}
head_of() { # what stands before params, result or error: our own members are there, nobody else's text
    head=${1%%\"params\":*}
    head=${head%%\"result\":*}
    printf '%s\n' "${head%%\"error\":*}"
}
answer() { say '{"jsonrpc":"2.0","id":'"$1"',"result":'"$2"'}'; }
fail() { say '{"jsonrpc":"2.0","id":'"$1"',"error":{"code":-32000,"message":"'"$2"'"}}'; }
call() { # call EVENT METHOD PARAMS: asks the daemon, then reads lines until the answer with our number is there: $reply
    calls=$((calls + 1))
    say '{"jsonrpc":"2.0","id":'"$calls"',"method":"'"$2"'","params":{'"$3"',"_meta":{"parent":'"$1"'}}}'
    while IFS= read -r reply; do
        head=$(head_of "$reply")
        case $head in *'"method"'*) continue ;; esac # $/cancel and the like: while an event is open, no request
        if [ "$(number id "$head")" = "$calls" ]; then
            case $reply in
                "$head"'"error":'*) log "$2 refused: $reply"; return 1 ;;
                *) return 0 ;;
            esac
        fi
    done
    exit 0 # the daemon has gone
}

while IFS= read -r line; do
    head=$(head_of "$line")
    id=$(number id "$head")
    case $(text method "$head") in
        initialize) answer "$id" '{"protocol":1,"manifest":'"$manifest"'}' ;;
        start)
            on_start "$line"
            answer "$id" '{}' ;;
        event) on_event "$id" "$line" ;;
        shutdown) answer "$id" '{}'; exit 0 ;;
        *) if [ -n "$id" ]; then say '{"jsonrpc":"2.0","id":'"$id"',"error":{"code":-32601,"message":"unknown method"}}'; fi ;;
    esac
done
