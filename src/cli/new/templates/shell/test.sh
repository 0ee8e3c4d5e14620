#!/bin/sh
# The plugin's test: it is fed what the daemon would write, and what it says is looked at. No daemon, no site.
cd "$(dirname "$0")" || exit 1

event() { # event REQUEST STATUS
    echo '{"jsonrpc":"2.0","id":'"$1"',"method":"event","params":{"event":{"meta":{"entity_id":7,"new_value":"'"$2"'"}}}}'
}
said=$(
    {
        echo '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocol":{"supported":[1]}}}'
        echo '{"jsonrpc":"2.0","id":2,"method":"start","params":{"config":{"status":"apr"}}}'
        event 3 fin
        event 4 apr
        echo '{"jsonrpc":"2.0","id":1,"result":{"type":"Task","id":7,"content":"comp \"B\""}}'
        event 5 apr
        echo '{"jsonrpc":"2.0","id":2,"error":{"code":-32010,"message":"no"}}'
    } | ./plugin.sh 2>&1
)

failed=0
expect() { # expect WHAT PATTERN: a line of what was said
    if printf '%s\n' "$said" | grep -q "$2"; then echo "ok      $1"; else echo "FAILED  $1"; failed=1; fi
}
expect "it says what it wants" '"id":1,"result":{"protocol":1,"manifest":'
expect "another status is skipped" '"id":3,"result":{"status":"skip"'
expect "it asks for the Task" '"method":"sg.find_one".*\["id","is",7\].*"parent":4'
expect "the Task is logged" '^task is apr: comp'
expect "the event is settled" '"id":4,"result":{"status":"ok"}'
expect "a refusal fails the event" '"id":5,"error"'
[ $failed = 0 ] || printf '%s\n' "$said"
exit $failed
