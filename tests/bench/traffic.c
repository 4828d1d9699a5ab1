/* Both ends of the traffic that relay.py measures.
 *
 * traffic serve ADDRESS PORT                        answers until it is killed
 * traffic up|down ADDRESS PORT BYTES CONNECTIONS    prints seconds
 * traffic echo ADDRESS PORT SIZE SECONDS            prints the count and p50 and p99 in microseconds
 * traffic connect ADDRESS PORT SECONDS CONNECTIONS  prints connections per second, each with one byte there and back
 * traffic hold ADDRESS PORT CONNECTIONS             prints a line once all are open, ends with its input
 * traffic copy ADDRESS PORT TO                      leads connections on to a port there, or to a unix socket, until it is killed: the least that a
 *                                                   program on the way can do; prints where it listens
 *
 * A connection begins with what it wants: one letter and a number. Bulk is sent with sendfile and thrown away with
 * MSG_TRUNC, so that neither end copies a byte.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BLOCK (1 << 20)
#define MOST 8192

struct wish { uint64_t kind, number; };
struct end { struct wish wish; size_t begun; uint64_t done; char *held; };

static struct sockaddr_in address;
static int file;
static struct end *ends[MOST * 4];

static void fail(const char *what) { perror(what); exit(1); }

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

static ssize_t send_block(int fd, uint64_t left)
{
    off_t from = 0;
    return sendfile(fd, file, &from, left < BLOCK ? left : BLOCK);
}

static ssize_t discard(int fd, uint64_t left)
{
    return recv(fd, NULL, left < BLOCK ? left : BLOCK, MSG_TRUNC);
}

/* ---- the server: one thread, one epoll loop */

/* Returns 0 while the connection lives and the number of the event that it waits for does not change, 1 to wait for room. */
static int serve_some(int fd, struct end *end)
{
    char one = 1;
    ssize_t got;
    while (end->begun < sizeof end->wish) {
        got = recv(fd, (char *)&end->wish + end->begun, sizeof end->wish - end->begun, 0);
        if (got < 0 && errno == EAGAIN) return 0;
        if (got <= 0) return -1;
        end->begun += got;
        if (end->begun == sizeof end->wish && end->wish.kind == 'e' && !(end->held = malloc(end->wish.number))) fail("malloc");
    }
    for (;;) {
        switch (end->wish.kind) {
        case 'u':
            got = discard(fd, end->wish.number - end->done);
            if (got > 0 && (end->done += got) == end->wish.number) {
                end->done = 0;
                if (send(fd, &one, 1, 0) != 1) return -1;
                return 0;
            }
            break;
        case 'd':
            if (end->done == end->wish.number) {
                got = recv(fd, &one, 1, 0);
                return got < 0 && errno == EAGAIN ? 0 : -1;
            }
            got = send_block(fd, end->wish.number - end->done);
            if (got < 0 && errno == EAGAIN) return 1;
            if (got > 0) end->done += got;
            break;
        case 'e':
            /* done counts what was received, from number on what was sent back. */
            if (end->done < end->wish.number) {
                got = recv(fd, end->held + end->done, end->wish.number - end->done, 0);
            } else {
                got = send(fd, end->held + end->done - end->wish.number, 2 * end->wish.number - end->done, 0);
                if (got < 0 && errno == EAGAIN) return 1;
            }
            if (got > 0 && (end->done += got) == 2 * end->wish.number) {
                end->done = 0;
                return 0;
            }
            break;
        default:
            return -1;
        }
        if (got < 0 && errno == EAGAIN) return 0;
        if (got <= 0) return -1;
    }
}

static void serve(void)
{
    struct epoll_event events[256];
    int one = 1, count, at, fd, answer, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), epoll = epoll_create1(0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) fail("listen");
    struct epoll_event event = { .events = EPOLLIN, .data.fd = listener };
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        count = epoll_wait(epoll, events, 256, -1);
        for (at = 0; at < count; at++) {
            fd = events[at].data.fd;
            if (fd == listener) {
                while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                    if (fd >= MOST * 4 || !(ends[fd] = calloc(1, sizeof *ends[fd]))) fail("accept");
                    event = (struct epoll_event){ .events = EPOLLIN, .data.fd = fd };
                    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
                }
                continue;
            }
            answer = serve_some(fd, ends[fd]);
            if (answer < 0) {
                free(ends[fd]->held);
                free(ends[fd]);
                close(fd);
            } else if ((answer == 1) != !!(events[at].events & EPOLLOUT)) {
                event = (struct epoll_event){ .events = answer == 1 ? EPOLLOUT : EPOLLIN, .data.fd = fd };
                epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
            }
        }
    }
}

/* ---- the client: blocking, a thread for each connection */

static uint64_t each;
static double until;
static pthread_barrier_t all_connected;

static int dial(void)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address)) fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void put(int fd, const void *from, size_t count)
{
    size_t done = 0;
    ssize_t sent;
    for (; done < count; done += sent)
        if ((sent = send(fd, (const char *)from + done, count - done, 0)) <= 0) fail("send");
}

static void take(int fd, void *to, size_t count)
{
    ssize_t got;
    size_t done = 0;
    for (; done < count; done += got)
        if ((got = recv(fd, (char *)to + done, count - done, 0)) <= 0) fail("recv");
}

static void *up(void *unused)
{
    struct wish wish = { 'u', each };
    uint64_t left;
    ssize_t sent;
    char one;
    int fd = dial();
    pthread_barrier_wait(&all_connected);
    put(fd, &wish, sizeof wish);
    for (left = each; left; left -= sent)
        if ((sent = send_block(fd, left)) <= 0) fail("sendfile");
    take(fd, &one, 1);
    close(fd);
    return unused;
}

static void *down(void *unused)
{
    struct wish wish = { 'd', each };
    uint64_t left;
    ssize_t got;
    int fd = dial();
    pthread_barrier_wait(&all_connected);
    put(fd, &wish, sizeof wish);
    for (left = each; left; left -= got)
        if ((got = discard(fd, left)) <= 0) fail("recv");
    close(fd);
    return unused;
}

static void *connects(void *counted)
{
    struct { struct wish wish; char one; } __attribute__((packed)) first = { { 'e', 1 }, 1 };
    pthread_barrier_wait(&all_connected);
    while (now() < until) {
        int fd = dial();
        put(fd, &first, sizeof first);
        take(fd, &first.one, 1);
        close(fd);
        ++*(uint64_t *)counted;
    }
    return NULL;
}

static double in_threads(void *(*body)(void *), int count, uint64_t *counted)
{
    pthread_t threads[256];
    double begin;
    int at;
    pthread_barrier_init(&all_connected, NULL, count + 1);
    for (at = 0; at < count; at++)
        if (pthread_create(&threads[at], NULL, body, counted ? &counted[at] : NULL)) fail("pthread_create");
    pthread_barrier_wait(&all_connected);
    begin = now();
    for (at = 0; at < count; at++)
        pthread_join(threads[at], NULL);
    return now() - begin;
}

static int by_size(const void *one, const void *other)
{
    float difference = *(const float *)one - *(const float *)other;
    return difference < 0 ? -1 : difference > 0;
}

static void echo(size_t size, double seconds)
{
    struct wish wish = { 'e', size };
    char *message = calloc(1, size);
    size_t count = 0, room = 1 << 20;
    float *took = malloc(room * sizeof *took);
    double before, begin = now();
    int fd = dial();
    put(fd, &wish, sizeof wish);
    for (; (before = now()) < begin + seconds && count < room; count++) {
        put(fd, message, size);
        take(fd, message, size);
        took[count] = (now() - before) * 1e6;
    }
    qsort(took, count, sizeof *took, by_size);
    printf("%zu %.2f %.2f\n", count, took[count / 2], took[count * 99 / 100]);
}

static void hold(int count)
{
    struct { struct wish wish; char one; } __attribute__((packed)) first = { { 'e', 1 }, 1 };
    char one;
    int at;
    for (at = 0; at < count; at++) {
        int fd = dial();
        put(fd, &first, sizeof first);
        take(fd, &one, 1);
    }
    puts("open");
    fflush(stdout);
    while (read(0, &one, 1) > 0)
        ;
}

/* ---- a program that does nothing but copy */

static void *copy(void *given)
{
    int *way = given;
    char *block = malloc(BLOCK);
    ssize_t got, sent, at;
    while ((got = recv(way[0], block, BLOCK, 0)) > 0) {
        for (at = 0; at < got; at += sent) {
            sent = send(way[1], block + at, got - at, 0);
            if (sent < 0) break;
        }
        if (at < got) break;
    }
    shutdown(way[1], SHUT_WR);
    free(block);
    free(way);
    return NULL;
}

static int lead_on(const char *to)
{
    struct sockaddr_un path = { .sun_family = AF_UNIX };
    struct sockaddr_in there = address;
    int one = 1, fd = socket(*to == '/' ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
    strncpy(path.sun_path, to, sizeof path.sun_path - 1);
    there.sin_port = htons(atoi(to));
    if (*to != '/') setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, *to == '/' ? (void *)&path : (void *)&there, *to == '/' ? sizeof path : sizeof there)) fail("connect");
    return fd;
}

static void copies(const char *to)
{
    struct sockaddr_in here;
    socklen_t length = sizeof here;
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (void *)&address, sizeof address) || listen(listener, 64) || getsockname(listener, (void *)&here, &length)) fail("listen");
    printf("%d\n", ntohs(here.sin_port));
    fflush(stdout);
    for (;;) {
        int near = accept(listener, NULL, NULL), far = lead_on(to), turn;
        setsockopt(near, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        for (turn = 0; turn < 2; turn++) {
            pthread_t thread;
            int *way = malloc(2 * sizeof *way);
            way[0] = turn ? far : near;
            way[1] = turn ? near : far;
            pthread_create(&thread, NULL, copy, way);
            pthread_detach(thread);
        }
    }
}

int main(int argc, char **argv)
{
    struct rlimit files;
    uint64_t counted[256] = { 0 }, sum = 0;
    int at;
    double took;
    if (argc < 4) return 2;
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(atoi(argv[3])) };
    if (inet_pton(AF_INET, argv[2], &address.sin_addr) != 1) return 2;
    file = memfd_create("traffic", 0);
    char *block = malloc(BLOCK);
    memset(block, 'x', BLOCK);
    if (write(file, block, BLOCK) != BLOCK) fail("write");
    free(block);
    if (!strcmp(argv[1], "serve")) {
        serve();
    } else if (!strcmp(argv[1], "up") || !strcmp(argv[1], "down")) {
        each = strtoull(argv[4], NULL, 10) / atoi(argv[5]);
        printf("%.6f\n", in_threads(argv[1][0] == 'u' ? up : down, atoi(argv[5]), NULL));
    } else if (!strcmp(argv[1], "echo")) {
        echo(strtoul(argv[4], NULL, 10), atof(argv[5]));
    } else if (!strcmp(argv[1], "connect")) {
        until = now() + atof(argv[4]);
        took = in_threads(connects, atoi(argv[5]), counted);
        for (at = 0; at < 256; at++) sum += counted[at];
        printf("%.1f\n", sum / took);
    } else if (!strcmp(argv[1], "copy")) {
        copies(argv[4]);
    } else if (!strcmp(argv[1], "hold")) {
        hold(atoi(argv[4]));
    } else {
        return 2;
    }
    return 0;
}
