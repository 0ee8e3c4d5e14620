#!/usr/bin/env perl
# audit: a line of CSV for each change on the site.
#
# The daemon writes one JSON object per line to stdin. What stands on stdout is the protocol, what stands on stderr our log.
use strict;
use warnings;
use IO::Handle;
use JSON::PP;

my $json = JSON::PP->new->utf8->canonical;
my $file;

die "$0 is a plugin of sgeventd, which starts it and talks to it through a pipe. Check it: sgeventd check FOLDER\n" if -t STDIN;

sub say_to_daemon { print STDOUT $json->encode({ jsonrpc => "2.0", @_ }), "\n"; STDOUT->flush }

sub name_of { # {type, id, name}, or nothing
    my ($link) = @_;
    return ref $link eq "HASH" ? $link->{name} // "$link->{type} $link->{id}" : "";
}

sub csv {
    my @cells = map { my $cell = $_ // ""; $cell =~ s/"/""/g; qq("$cell") } @_;
    return join(",", @cells) . "\n";
}

sub open_file { # open_file CONFIG PATHS: appends, in one write a line
    my ($config, $paths) = @_;
    my $path = $config->{file} // "$paths->{data}/audit.csv";
    open($file, ">>:encoding(UTF-8)", $path) or return { disable => "cannot write $path: $!" };
    $file->autoflush(1);
    return {};
}

sub on_event {
    my ($event) = @_;
    my $entity = $event->{entity} // { type => $event->{meta}{entity_type}, id => $event->{meta}{entity_id} };
    my $what = ($entity->{type} // "") . " " . ($entity->{id} // "");
    print $file csv(@$event{qw(id created_at event_type)}, name_of($event->{user}), $what, $event->{attribute_name})
        or die "cannot write the audit: $!\n";
    return { status => "ok" };
}

my %methods = (
    initialize => sub { { protocol => 1, manifest => {
        name => "audit", version => "1.0.0", description => "Writes a line of CSV for each change.",
        subscriptions => [ { where => [ [ "entity.type", "exists", JSON::PP::true ] ] } ], permissions => { sg => [] },
    } } },
    start    => sub { open_file($_[0]{config} // {}, $_[0]{paths} // { data => "." }) },
    event    => sub { on_event($_[0]{event}) },
    shutdown => sub { {} },
);

while (my $line = <STDIN>) {
    my $message = $json->decode($line);
    my ($id, $method) = @$message{qw(id method)};
    next unless defined $id && defined $method; # a notification: none that we need
    my $work = $methods{$method};
    if (!$work) {
        say_to_daemon(id => $id, error => { code => -32601, message => "unknown method $method" });
        next;
    }
    my $result = eval { $work->($message->{params} // {}) };
    if (defined $result) {
        say_to_daemon(id => $id, result => $result);
    } else {
        chomp(my $words = $@);
        say_to_daemon(id => $id, error => { code => -32000, message => $words, data => { type => "die" } });
    }
    last if $method eq "shutdown";
}
