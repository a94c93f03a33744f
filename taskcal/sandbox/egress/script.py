"""The half of an allowed way out that runs in the sandbox's network: it listens, and hands everything to taskcal.

It is Perl because every Debian image has it, and runs in a container of its own, out of the agent's sight. Each address
that it is given is one that a name of the list stands for inside. Frames go through its standard input and output, as
`taskcal.sandbox.egress.frames` describes; no side sends more than a window's bytes that the other has not passed on.
"""

from __future__ import annotations

from taskcal.sandbox.egress.frames import CHUNK, MOST_CONNECTIONS, WINDOW

SCRIPT = f"""
use strict; use warnings; use Fcntl; use Socket;
my ($window, $chunk, $most) = ({WINDOW}, {CHUNK}, {MOST_CONNECTIONS});
"""
SCRIPT += r"""
my (@doors, %open, $last, $in);
($last, $in) = (0, '');
$SIG{PIPE} = 'IGNORE';
sub quiet { my $h = shift; fcntl($h, F_SETFL, fcntl($h, F_GETFL, 0) | O_NONBLOCK); return $h }
sub tell_host {                                   # the host always reads, so this never waits for long
    my ($kind, $id, $data) = @_;
    my $frame = pack('a1NN', $kind, $id, length $data) . $data;
    while (length $frame) { my $n = syswrite(STDOUT, $frame); exit unless defined $n; substr($frame, 0, $n, '') }
}
sub drop {
    my ($id, $kind) = @_; my $c = delete $open{$id} or return;
    close $c->{sock}; tell_host($kind, $id, '') if $kind;
}
sub finish { my $id = shift; my $c = $open{$id}; drop($id, '') if $c && $c->{read_all} && $c->{written_all} }
sub flush_to {
    my $id = shift; my $c = $open{$id} or return;
    while (length $c->{out}) {
        my $n = syswrite($c->{sock}, $c->{out});
        if (!defined $n) { return if $!{EAGAIN}; return drop($id, 'X') }
        substr($c->{out}, 0, $n, ''); tell_host('A', $id, pack('N', $n));
    }
    if ($c->{ending} && !$c->{written_all}) { shutdown($c->{sock}, 1); $c->{written_all} = 1; finish($id) }
}
sub take {
    my ($kind, $id, $data) = @_; my $c = $open{$id} or return;
    if ($kind eq 'D') { $c->{out} .= $data; flush_to($id) }
    elsif ($kind eq 'A') { $c->{credit} += unpack('N', $data) }
    elsif ($kind eq 'E') { $c->{ending} = 1; flush_to($id) }
    elsif ($kind eq 'X') { setsockopt($c->{sock}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0)); drop($id, '') }
}
sub hear {
    my $n = sysread(STDIN, $in, 65536, length $in);
    return if !defined $n && $!{EAGAIN};
    exit unless $n;
    while (length $in >= 9) {
        my ($kind, $id, $size) = unpack('a1NN', $in);
        return if length $in < 9 + $size;
        take($kind, $id, substr($in, 9, $size)); substr($in, 0, 9 + $size, '');
    }
}
sub fetch {
    my $id = shift; my $c = $open{$id} or return;
    my $n = sysread($c->{sock}, my $data, $c->{credit} < $chunk ? $c->{credit} : $chunk);
    if (!defined $n) { drop($id, 'X') unless $!{EAGAIN} || $!{EINTR}; return }
    if ($n) { $c->{credit} -= $n; return tell_host('D', $id, $data) }
    $c->{read_all} = 1; tell_host('E', $id, ''); finish($id);
}
sub welcome {
    my $door = shift; accept(my $sock, $doors[$door]) or return;
    my $id = ++$last;
    $open{$id} = {sock => quiet($sock), out => '', credit => $window, ending => 0, read_all => 0, written_all => 0};
    tell_host('O', $id, pack('N', $door));
}
for my $address (@ARGV) {
    my ($ip, $port) = split /:/, $address;
    my $door;
    socket($door, PF_INET, SOCK_STREAM, 0) && setsockopt($door, SOL_SOCKET, SO_REUSEADDR, 1)
        && bind($door, sockaddr_in($port, inet_aton($ip))) && listen($door, 64) or die "$address: $!\n";
    push @doors, quiet($door);
}
binmode $_ for \*STDIN, \*STDOUT;
quiet(\*STDIN);
tell_host('R', 0, '');
while (1) {
    my ($read, $write) = ('', '');
    vec($read, fileno(STDIN), 1) = 1;
    if (keys %open < $most) { vec($read, fileno($_), 1) = 1 for @doors }
    for my $c (values %open) {
        vec($read, fileno($c->{sock}), 1) = 1 if $c->{credit} > 0 && !$c->{read_all};
        vec($write, fileno($c->{sock}), 1) = 1 if length $c->{out};
    }
    next if select($read, $write, undef, undef) < 0;
    hear() if vec($read, fileno(STDIN), 1);
    for my $id (keys %open) {
        my $c = $open{$id} or next;
        flush_to($id) if vec($write, fileno($c->{sock}), 1);
        $c = $open{$id} or next;
        fetch($id) if vec($read, fileno($c->{sock}), 1) && !$c->{read_all} && $c->{credit} > 0;
    }
    for my $door (0 .. $#doors) { welcome($door) if vec($read, fileno($doors[$door]), 1) && keys %open < $most }
}
"""
