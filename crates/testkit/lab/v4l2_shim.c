/*
 * A V4L2 camera without a kernel driver, for programs started with LD_PRELOAD.
 *
 * AHOY_FAKE_CAMERA names a directory that stands for the camera:
 *
 *   camera.conf      what the camera is (see load_camera)
 *   dev/             what the program sees as /dev: the file video0 is there while the camera is plugged in and holds
 *                    a number that changes with every plugging in
 *   sys/             what it sees as /sys/class/video4linux
 *   busy, stalled    while such a file exists, the camera is refused to everyone, or delivers nothing
 *   lock             locked (flock) by whoever has buffers: one program at a time, as with a real camera
 *   used             locked by the same: whoever only wants to know looks here, and so takes the camera from nobody
 *
 * Frames fall due at the camera's rate from STREAMON on, each into the buffer that has been queued longest. When none is
 * queued the frame is lost and the sequence number jumps: what a program sees that is too slow.
 *
 * Only capture by memory mapping is offered, which is what cameras are used by.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S INT64_C(1000000000)
/* How often a waiting program looks whether the camera was unplugged or stalled. */
#define CHECK_NS INT64_C(5000000)

enum { MAX_FORMATS = 16, MAX_RATES = 8, MAX_BUFFERS = 32, MAX_FDS = 4096 };

/* One pixel format at one size, with its pictures mapped from a file. */
struct format {
    uint32_t fourcc, width, height;
    const uint8_t *clip;
    uint32_t frames;
    /* Where each picture begins in `clip`, and where the last one ends. */
    size_t *offsets;
    size_t largest;
};

static struct {
    const char *root;
    char name[32];
    uint32_t clip_rate;
    uint32_t rates[MAX_RATES], rate_count;
    struct format formats[MAX_FORMATS];
    uint32_t format_count;
} camera;

/* What one open() of the device leads to. */
struct handle {
    int fd;
    bool nonblocking, streaming;
    long generation;
    int lock, used;
    const struct format *format;
    uint32_t rate;
    uint32_t buffers;
    size_t buffer_size;
    /* Buffers in the order in which they were queued, with the time of it. */
    struct { uint32_t index; int64_t at; } queue[MAX_BUFFERS];
    uint32_t queued;
    bool is_queued[MAX_BUFFERS];
    int64_t started;
    /* The number of the next frame at the earliest. */
    int64_t next_frame;
};

static struct handle *handles[MAX_FDS];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* ---- the real functions ---- */

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) {
    void *function = dlsym(RTLD_NEXT, name);
    if (!function) {
        fprintf(stderr, "fake camera: the C library has no %s\n", name);
        abort();
    }
    return function;
}

static long (*real_syscall)(long, ...);
static int (*real_ioctl)(int, unsigned long, ...);
static int (*real_poll)(struct pollfd *, nfds_t, int);
static int (*real_close)(int);
static int (*real_open)(const char *, int, ...);
static int (*real_openat)(int, const char *, int, ...);

static void resolve(void) {
    real_syscall = real("syscall");
    real_ioctl = real("ioctl");
    real_poll = real("poll");
    real_close = real("close");
    real_open = real("open");
    real_openat = real("openat");
}

/* ---- the camera's files ---- */

static void give_up(const char *what, const char *path) {
    fprintf(stderr, "fake camera: %s: %s\n", what, path);
    abort();
}

static bool in_root(char *path, const char *name) {
    return (size_t)snprintf(path, PATH_MAX, "%s/%s", camera.root, name) < PATH_MAX;
}

static bool marked(const char *name) {
    char path[PATH_MAX];
    struct stat status;
    return in_root(path, name) && REAL(stat)(path, &status) == 0;
}

/* The number in dev/video0, or -1 while the camera is unplugged. */
static long generation(void) {
    char path[PATH_MAX], text[32] = {0};
    if (!in_root(path, "dev/video0")) return -1;
    int fd = real_open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    ssize_t length = read(fd, text, sizeof text - 1);
    real_close(fd);
    return length > 0 ? strtol(text, NULL, 10) : -1;
}

static void map_clip(struct format *format, const char *file) {
    char path[PATH_MAX];
    struct stat status;
    if (!in_root(path, file)) give_up("path too long", file);
    int fd = real_open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0) give_up("cannot open", path);
    size_t size = (size_t)status.st_size;
    void *data = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    real_close(fd);
    if (data == MAP_FAILED) give_up("cannot map", path);
    format->clip = data;
    /* Each picture is preceded by its length in four bytes, least significant first. */
    size_t capacity = 64;
    format->offsets = malloc(capacity * sizeof *format->offsets);
    for (size_t at = 0; at + 4 <= size;) {
        const uint8_t *b = format->clip + at;
        size_t length = b[0] | (size_t)b[1] << 8 | (size_t)b[2] << 16 | (size_t)b[3] << 24;
        if (length > size - at - 4) give_up("truncated", path);
        if (format->frames == capacity) {
            capacity *= 2;
            format->offsets = realloc(format->offsets, capacity * sizeof *format->offsets);
        }
        format->offsets[format->frames++] = at + 4;
        if (length > format->largest) format->largest = length;
        at += 4 + length;
    }
    if (format->frames == 0) give_up("no pictures in", path);
}

/*
 * camera.conf has a line for each of:
 *   name TEXT
 *   clip-rate FPS                  rate at which the pictures change, whatever rate is captured
 *   rate FPS                       a rate that the camera offers; the first is the default
 *   format FOURCC WIDTH HEIGHT FILE
 */
static void load_camera(void) {
    char path[PATH_MAX], line[PATH_MAX + 64];
    if (!in_root(path, "camera.conf")) give_up("path too long", camera.root);
    FILE *conf = fopen(path, "re");
    if (!conf) give_up("cannot open", path);
    while (fgets(line, sizeof line, conf)) {
        char fourcc[5], file[256];
        unsigned a, b;
        if (sscanf(line, "name %31[^\n]", camera.name) == 1) continue;
        if (sscanf(line, "clip-rate %u", &a) == 1) {
            camera.clip_rate = a;
        } else if (sscanf(line, "rate %u", &a) == 1 && camera.rate_count < MAX_RATES) {
            camera.rates[camera.rate_count++] = a;
        } else if (sscanf(line, "format %4s %u %u %255s", fourcc, &a, &b, file) == 4 &&
                   camera.format_count < MAX_FORMATS) {
            struct format *format = &camera.formats[camera.format_count++];
            *format = (struct format){.fourcc = v4l2_fourcc(fourcc[0], fourcc[1], fourcc[2], fourcc[3]),
                                      .width = a, .height = b};
            map_clip(format, file);
        } else {
            give_up("line not understood", line);
        }
    }
    fclose(conf);
    if (!camera.format_count || !camera.rate_count || !camera.clip_rate) give_up("incomplete", path);
}

__attribute__((constructor)) static void start(void) {
    resolve();
    camera.root = getenv("AHOY_FAKE_CAMERA");
    if (camera.root) load_camera();
}

/* ---- time ---- */

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static void sleep_ns(int64_t ns) {
    if (ns <= 0) return;
    struct timespec t = {.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
    nanosleep(&t, NULL);
}

static int64_t frame_time(const struct handle *h, int64_t frame) {
    return h->started + frame * NS_PER_S / h->rate;
}

/* Which frame the buffer at the head of the queue gets: the first that falls due after it was queued. */
static int64_t frame_of_head(const struct handle *h) {
    int64_t after = (h->queue[0].at - h->started) * h->rate / NS_PER_S + 1;
    return after > h->next_frame ? after : h->next_frame;
}

/* ---- ioctls; all called with the mutex held ---- */

static int fail(int error) {
    errno = error;
    return -1;
}

static uint32_t distance(const struct format *format, uint32_t width, uint32_t height) {
    int32_t dx = (int32_t)(format->width - width), dy = (int32_t)(format->height - height);
    return (uint32_t)(abs(dx) + abs(dy));
}

/* The closest size of the format asked for; of the first format if that does not exist. */
static const struct format *choose(uint32_t fourcc, uint32_t width, uint32_t height) {
    const struct format *best = NULL;
    for (int pass = 0; pass < 2 && !best; pass++) {
        if (pass == 1) fourcc = camera.formats[0].fourcc;
        for (uint32_t i = 0; i < camera.format_count; i++) {
            const struct format *format = &camera.formats[i];
            if (format->fourcc != fourcc) continue;
            if (!best || distance(format, width, height) < distance(best, width, height)) best = format;
        }
    }
    return best;
}

static size_t image_size(const struct format *format) {
    size_t raw = (size_t)format->width * format->height * 2;
    return raw > format->largest ? raw : format->largest;
}

static void describe(const struct format *format, struct v4l2_pix_format *out) {
    bool mjpeg = format->fourcc == V4L2_PIX_FMT_MJPEG;
    *out = (struct v4l2_pix_format){
        .width = format->width,
        .height = format->height,
        .pixelformat = format->fourcc,
        .field = V4L2_FIELD_NONE,
        .bytesperline = mjpeg ? 0 : format->width * 2,
        .sizeimage = (uint32_t)image_size(format),
        .colorspace = mjpeg ? V4L2_COLORSPACE_JPEG : V4L2_COLORSPACE_SRGB,
    };
}

static void unlock_device(struct handle *h) {
    if (h->lock >= 0) real_close(h->lock);
    if (h->used >= 0) real_close(h->used);
    h->lock = h->used = -1;
}

/* The file of that name, locked; less than 0 when that can't be, as when another has it and `operation` is not to wait. */
static int locked_file(const char *name, int operation) {
    char path[PATH_MAX];
    if (!in_root(path, name)) return -1;
    int fd = real_open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return -1;
    if (flock(fd, operation) != 0) {
        real_close(fd);
        return -1;
    }
    return fd;
}

static bool lock_device(struct handle *h) {
    if (h->lock >= 0) return true;
    h->lock = locked_file("lock", LOCK_EX | LOCK_NB);
    if (h->lock < 0) return false;
    /* Nobody has this one for longer than it takes to look, except for whoever has the other. */
    h->used = locked_file("used", LOCK_EX);
    return true;
}

static int query_capabilities(struct v4l2_capability *c) {
    memset(c, 0, sizeof *c);
    snprintf((char *)c->driver, sizeof c->driver, "ahoy-fake");
    snprintf((char *)c->card, sizeof c->card, "%s", camera.name);
    snprintf((char *)c->bus_info, sizeof c->bus_info, "platform:ahoy-fake");
    c->version = 0x00060100;
    c->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
    c->capabilities = c->device_caps | V4L2_CAP_DEVICE_CAPS;
    return 0;
}

static int enumerate_formats(struct v4l2_fmtdesc *d) {
    if (d->type != V4L2_BUF_TYPE_VIDEO_CAPTURE) return fail(EINVAL);
    uint32_t index = d->index, seen = 0;
    for (uint32_t i = 0; i < camera.format_count; i++) {
        uint32_t fourcc = camera.formats[i].fourcc;
        bool again = false;
        for (uint32_t j = 0; j < i; j++) again |= camera.formats[j].fourcc == fourcc;
        if (again || seen++ != index) continue;
        bool mjpeg = fourcc == V4L2_PIX_FMT_MJPEG;
        *d = (struct v4l2_fmtdesc){.index = index, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .pixelformat = fourcc,
                                   .flags = mjpeg ? V4L2_FMT_FLAG_COMPRESSED : 0};
        snprintf((char *)d->description, sizeof d->description, mjpeg ? "Motion-JPEG" : "YUYV 4:2:2");
        return 0;
    }
    return fail(EINVAL);
}

static int enumerate_sizes(struct v4l2_frmsizeenum *s) {
    uint32_t seen = 0;
    for (uint32_t i = 0; i < camera.format_count; i++) {
        const struct format *format = &camera.formats[i];
        if (format->fourcc != s->pixel_format || seen++ != s->index) continue;
        s->type = V4L2_FRMSIZE_TYPE_DISCRETE;
        s->discrete.width = format->width;
        s->discrete.height = format->height;
        return 0;
    }
    return fail(EINVAL);
}

static int enumerate_rates(struct v4l2_frmivalenum *s) {
    const struct format *format = choose(s->pixel_format, s->width, s->height);
    bool known = format->fourcc == s->pixel_format && format->width == s->width && format->height == s->height;
    if (!known || s->index >= camera.rate_count) return fail(EINVAL);
    s->type = V4L2_FRMIVAL_TYPE_DISCRETE;
    s->discrete = (struct v4l2_fract){1, camera.rates[s->index]};
    return 0;
}

static int set_format(struct handle *h, struct v4l2_format *f, bool try_only) {
    if (f->type != V4L2_BUF_TYPE_VIDEO_CAPTURE) return fail(EINVAL);
    const struct format *format = choose(f->fmt.pix.pixelformat, f->fmt.pix.width, f->fmt.pix.height);
    if (!try_only) {
        if (h->buffers || marked("busy")) return fail(EBUSY);
        h->format = format;
    }
    describe(format, &f->fmt.pix);
    return 0;
}

static int get_format(const struct handle *h, struct v4l2_format *f) {
    if (f->type != V4L2_BUF_TYPE_VIDEO_CAPTURE) return fail(EINVAL);
    describe(h->format, &f->fmt.pix);
    return 0;
}

static int rate_parameter(struct handle *h, struct v4l2_streamparm *p, bool set) {
    if (p->type != V4L2_BUF_TYPE_VIDEO_CAPTURE) return fail(EINVAL);
    struct v4l2_fract wanted = p->parm.capture.timeperframe;
    if (set && h->streaming) return fail(EBUSY);
    if (set && wanted.numerator) {
        double rate = (double)wanted.denominator / wanted.numerator, nearest = -1;
        for (uint32_t i = 0; i < camera.rate_count; i++) {
            double off = rate > camera.rates[i] ? rate - camera.rates[i] : camera.rates[i] - rate;
            if (nearest >= 0 && off >= nearest) continue;
            nearest = off;
            h->rate = camera.rates[i];
        }
    }
    memset(&p->parm, 0, sizeof p->parm);
    p->parm.capture.capability = V4L2_CAP_TIMEPERFRAME;
    p->parm.capture.timeperframe = (struct v4l2_fract){1, h->rate};
    return 0;
}

static void stop_streaming(struct handle *h) {
    h->streaming = false;
    h->queued = 0;
    memset(h->is_queued, 0, sizeof h->is_queued);
}

static int request_buffers(struct handle *h, struct v4l2_requestbuffers *r) {
    if (r->type != V4L2_BUF_TYPE_VIDEO_CAPTURE || r->memory != V4L2_MEMORY_MMAP) return fail(EINVAL);
    if (r->count == 0) {
        stop_streaming(h);
        h->buffers = 0;
        unlock_device(h);
        return 0;
    }
    if (h->streaming || marked("busy") || !lock_device(h)) return fail(EBUSY);
    stop_streaming(h);
    if (r->count > MAX_BUFFERS) r->count = MAX_BUFFERS;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    h->buffer_size = (image_size(h->format) + page - 1) / page * page;
    if (ftruncate(h->fd, (off_t)(h->buffer_size * r->count)) != 0) return -1;
    h->buffers = r->count;
    r->capabilities = V4L2_BUF_CAP_SUPPORTS_MMAP;
    return 0;
}

static int query_buffer(const struct handle *h, struct v4l2_buffer *b) {
    if (b->type != V4L2_BUF_TYPE_VIDEO_CAPTURE || b->index >= h->buffers) return fail(EINVAL);
    b->memory = V4L2_MEMORY_MMAP;
    b->length = (uint32_t)image_size(h->format);
    b->m.offset = (uint32_t)(b->index * h->buffer_size);
    b->flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC | (h->is_queued[b->index] ? V4L2_BUF_FLAG_QUEUED : 0);
    b->field = V4L2_FIELD_NONE;
    return 0;
}

static int queue_buffer(struct handle *h, struct v4l2_buffer *b) {
    if (query_buffer(h, b) != 0) return -1;
    if (h->is_queued[b->index]) return fail(EINVAL);
    h->is_queued[b->index] = true;
    h->queue[h->queued].index = b->index;
    h->queue[h->queued++].at = now_ns();
    b->flags |= V4L2_BUF_FLAG_QUEUED;
    return 0;
}

static int start_streaming(struct handle *h) {
    if (!h->buffers) return fail(EINVAL);
    if (marked("busy")) return fail(EBUSY);
    if (h->streaming) return 0;
    h->streaming = true;
    h->started = now_ns();
    h->next_frame = 1;
    for (uint32_t i = 0; i < h->queued; i++) h->queue[i].at = h->started;
    return 0;
}

static int fill(struct handle *h, struct v4l2_buffer *b, int64_t frame) {
    const struct format *format = h->format;
    uint32_t picture = (uint32_t)((uint64_t)frame * camera.clip_rate / h->rate % format->frames);
    size_t start = format->offsets[picture];
    const uint8_t *l = format->clip + start - 4;
    size_t length = l[0] | (size_t)l[1] << 8 | (size_t)l[2] << 16 | (size_t)l[3] << 24;
    uint32_t index = h->queue[0].index;
    off_t offset = (off_t)(index * h->buffer_size);
    if (pwrite(h->fd, format->clip + start, length, offset) != (ssize_t)length) return fail(EIO);
    h->queued--;
    memmove(&h->queue[0], &h->queue[1], h->queued * sizeof h->queue[0]);
    h->is_queued[index] = false;
    h->next_frame = frame + 1;
    int64_t at = frame_time(h, frame);
    *b = (struct v4l2_buffer){.type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .index = index};
    query_buffer(h, b);
    b->bytesused = (uint32_t)length;
    b->sequence = (uint32_t)frame - 1;
    b->timestamp.tv_sec = at / NS_PER_S;
    b->timestamp.tv_usec = at % NS_PER_S / 1000;
    return 0;
}

/* Events of poll(2), and until when nothing changes by itself. */
static short readiness(struct handle *h, int64_t now, int64_t *until) {
    if (generation() != h->generation) return POLLERR | POLLHUP;
    if (!h->streaming) return POLLERR;
    if (marked("stalled")) {
        /* What would have fallen due is lost, not late. */
        int64_t after = (now - h->started) * h->rate / NS_PER_S + 1;
        if (after > h->next_frame) h->next_frame = after;
        return 0;
    }
    if (!h->queued) return 0;
    int64_t due = frame_time(h, frame_of_head(h));
    if (due <= now) return POLLIN | POLLRDNORM;
    if (due < *until) *until = due;
    return 0;
}

static int dequeue_buffer(struct handle *h, struct v4l2_buffer *b) {
    if (b->type != V4L2_BUF_TYPE_VIDEO_CAPTURE || b->memory != V4L2_MEMORY_MMAP) return fail(EINVAL);
    for (;;) {
        int64_t now = now_ns(), until = now + CHECK_NS;
        short events = readiness(h, now, &until);
        if (events & POLLHUP) return fail(ENODEV);
        if (!h->streaming) return fail(EINVAL);
        if (events & POLLIN) return fill(h, b, frame_of_head(h));
        if (h->nonblocking) return fail(EAGAIN);
        int fd = h->fd;
        pthread_mutex_unlock(&mutex);
        sleep_ns(until - now);
        pthread_mutex_lock(&mutex);
        if (handles[fd] != h) return fail(EBADF);
    }
}

static int control_device(struct handle *h, uint32_t request, void *argument) {
    if (generation() != h->generation) return fail(ENODEV);
    switch (request) {
    case VIDIOC_QUERYCAP: return query_capabilities(argument);
    case VIDIOC_ENUM_FMT: return enumerate_formats(argument);
    case VIDIOC_ENUM_FRAMESIZES: return enumerate_sizes(argument);
    case VIDIOC_ENUM_FRAMEINTERVALS: return enumerate_rates(argument);
    case VIDIOC_G_FMT: return get_format(h, argument);
    case VIDIOC_S_FMT: return set_format(h, argument, false);
    case VIDIOC_TRY_FMT: return set_format(h, argument, true);
    case VIDIOC_G_PARM: return rate_parameter(h, argument, false);
    case VIDIOC_S_PARM: return rate_parameter(h, argument, true);
    case VIDIOC_REQBUFS: return request_buffers(h, argument);
    case VIDIOC_QUERYBUF: return query_buffer(h, argument);
    case VIDIOC_QBUF: return queue_buffer(h, argument);
    case VIDIOC_DQBUF: return dequeue_buffer(h, argument);
    case VIDIOC_STREAMON: return start_streaming(h);
    case VIDIOC_STREAMOFF: return stop_streaming(h), 0;
    case VIDIOC_G_INPUT: return *(int *)argument = 0;
    case VIDIOC_S_INPUT: return *(int *)argument == 0 ? 0 : fail(EINVAL);
    case VIDIOC_ENUMINPUT: {
        struct v4l2_input *input = argument;
        if (input->index != 0) return fail(EINVAL);
        *input = (struct v4l2_input){.type = V4L2_INPUT_TYPE_CAMERA};
        snprintf((char *)input->name, sizeof input->name, "Camera 1");
        return 0;
    }
    case VIDIOC_QUERYCTRL:
    case VIDIOC_QUERY_EXT_CTRL:
    case VIDIOC_G_CTRL:
    case VIDIOC_S_CTRL: return fail(EINVAL);
    default: return fail(ENOTTY);
    }
}

static struct handle *handle_of(int fd) {
    return camera.root && fd >= 0 && fd < MAX_FDS ? handles[fd] : NULL;
}

/* Returns false if the descriptor is not the camera's. */
static bool device_ioctl(int fd, unsigned long request, void *argument, int *result) {
    if (!handle_of(fd)) return false;
    pthread_mutex_lock(&mutex);
    struct handle *h = handles[fd];
    if (h) *result = control_device(h, (uint32_t)request, argument);
    pthread_mutex_unlock(&mutex);
    return h != NULL;
}

static int open_device(int flags) {
    long current = generation();
    if (current < 0) return fail(ENOENT);
    /* Memory stands for the device, so that mapping its buffers works by itself. */
    int fd = memfd_create("ahoy-fake-camera", flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
    if (fd < 0) return -1;
    if (fd >= MAX_FDS) {
        real_close(fd);
        return fail(EMFILE);
    }
    struct handle *h = calloc(1, sizeof *h);
    if (!h) {
        real_close(fd);
        return fail(ENOMEM);
    }
    h->fd = fd;
    h->nonblocking = flags & O_NONBLOCK;
    h->generation = current;
    h->lock = h->used = -1;
    h->format = &camera.formats[0];
    h->rate = camera.rates[0];
    pthread_mutex_lock(&mutex);
    handles[fd] = h;
    pthread_mutex_unlock(&mutex);
    return fd;
}

/* ---- what the program calls instead of the C library ---- */

enum place { ELSEWHERE, DEVICE, INSIDE };

/* Where a path leads; for INSIDE the real path is put into `buffer`. */
static enum place locate(const char *path, char *buffer) {
    static const char device[] = "/dev/video", classes[] = "/sys/class/video4linux";
    const char *rest;
    if (!camera.root || !path) return ELSEWHERE;
    if (strcmp(path, "/dev/video0") == 0) {
        snprintf(buffer, PATH_MAX, "%s/dev/video0", camera.root);
        return DEVICE;
    }
    if (strcmp(path, "/dev") == 0 || strcmp(path, "/dev/") == 0) {
        snprintf(buffer, PATH_MAX, "%s/dev", camera.root);
    } else if (strncmp(path, device, sizeof device - 1) == 0) {
        snprintf(buffer, PATH_MAX, "%s%s", camera.root, path);
    } else if (strncmp(path, classes, sizeof classes - 1) == 0) {
        rest = path + sizeof classes - 1;
        snprintf(buffer, PATH_MAX, "%s/sys%s", camera.root, rest);
    } else {
        return ELSEWHERE;
    }
    return INSIDE;
}

/* Only what a program looks for by listing /dev; opening /dev itself must not hide the rest of it. */
static bool is_dev_itself(const char *path) {
    return strcmp(path, "/dev") == 0 || strcmp(path, "/dev/") == 0;
}

static int open_any(int directory, const char *path, int flags, mode_t mode) {
    char inside[PATH_MAX];
    enum place place = locate(path, inside);
    if (place == DEVICE) return open_device(flags);
    bool redirected = place == INSIDE && !is_dev_itself(path);
    return real_openat(directory, redirected ? inside : path, flags, mode);
}

#define MODE_ARGUMENT(flags, last)                                             \
    mode_t mode = 0;                                                           \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                     \
        va_list arguments;                                                     \
        va_start(arguments, last);                                             \
        mode = va_arg(arguments, mode_t);                                      \
        va_end(arguments);                                                     \
    }

int open(const char *path, int flags, ...) {
    MODE_ARGUMENT(flags, flags)
    return open_any(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    MODE_ARGUMENT(flags, flags)
    return open_any(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}

int openat(int directory, const char *path, int flags, ...) {
    MODE_ARGUMENT(flags, flags)
    return open_any(directory, path, flags, mode);
}

int openat64(int directory, const char *path, int flags, ...) {
    MODE_ARGUMENT(flags, flags)
    return open_any(directory, path, flags | O_LARGEFILE, mode);
}

int close(int fd) {
    if (handle_of(fd)) {
        pthread_mutex_lock(&mutex);
        struct handle *h = handles[fd];
        handles[fd] = NULL;
        if (h) unlock_device(h);
        free(h);
        pthread_mutex_unlock(&mutex);
    }
    return real_close(fd);
}

DIR *opendir(const char *path) {
    char inside[PATH_MAX];
    return REAL(opendir)(locate(path, inside) == INSIDE ? inside : path);
}

int access(const char *path, int mode) {
    char inside[PATH_MAX];
    return REAL(access)(locate(path, inside) != ELSEWHERE && !is_dev_itself(path) ? inside : path, mode);
}

int stat(const char *restrict path, struct stat *restrict status) {
    char inside[PATH_MAX];
    return REAL(stat)(locate(path, inside) != ELSEWHERE && !is_dev_itself(path) ? inside : path, status);
}

int stat64(const char *restrict path, struct stat64 *restrict status) {
    char inside[PATH_MAX];
    return REAL(stat64)(locate(path, inside) != ELSEWHERE && !is_dev_itself(path) ? inside : path, status);
}

int statx(int directory, const char *restrict path, int flags, unsigned mask, struct statx *restrict status) {
    char inside[PATH_MAX];
    bool redirected = locate(path, inside) != ELSEWHERE && !is_dev_itself(path);
    return REAL(statx)(directory, redirected ? inside : path, flags, mask, status);
}

/* Whoever watches /dev for cameras that come and go watches ours. */
int inotify_add_watch(int fd, const char *path, uint32_t mask) {
    char inside[PATH_MAX];
    return REAL(inotify_add_watch)(fd, locate(path, inside) == INSIDE ? inside : path, mask);
}

int ioctl(int fd, unsigned long request, ...) {
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    int result;
    return device_ioctl(fd, request, argument, &result) ? result : real_ioctl(fd, request, argument);
}

/* Some programs reach ioctl this way, because the C libraries disagree about the type of its second argument. */
long syscall(long number, ...) {
    va_list arguments;
    long a[6];
    va_start(arguments, number);
    for (int i = 0; i < 6; i++) a[i] = va_arg(arguments, long);
    va_end(arguments);
    int result;
    if (number == SYS_ioctl && device_ioctl((int)a[0], (unsigned long)a[1], (void *)a[2], &result)) return result;
    /* Threads may run before this library's constructor has. */
    if (!real_syscall) resolve();
    return real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int poll(struct pollfd *fds, nfds_t count, int timeout) {
    bool ours = false;
    for (nfds_t i = 0; i < count && !ours; i++) ours = handle_of(fds[i].fd) != NULL;
    if (!ours) return real_poll(fds, count, timeout);
    int64_t deadline = timeout < 0 ? INT64_MAX : now_ns() + timeout * INT64_C(1000000);
    struct pollfd others[count];
    for (;;) {
        int64_t now = now_ns(), until = now + CHECK_NS;
        int ready = 0;
        memcpy(others, fds, sizeof others);
        for (nfds_t i = 0; i < count; i++) {
            if (!handle_of(fds[i].fd)) continue;
            pthread_mutex_lock(&mutex);
            struct handle *h = handles[fds[i].fd];
            short events = h ? readiness(h, now, &until) : POLLNVAL;
            pthread_mutex_unlock(&mutex);
            fds[i].revents = events & (fds[i].events | POLLERR | POLLHUP | POLLNVAL);
            ready += fds[i].revents != 0;
            others[i].fd = -1;
        }
        if (until > deadline) until = deadline;
        /* Rounded up: waking before the frame is due would only mean another turn. */
        int64_t wait = ready || until <= now ? 0 : (until - now + 999999) / 1000000;
        if (real_poll(others, count, (int)wait) < 0) return -1;
        for (nfds_t i = 0; i < count; i++) {
            if (others[i].fd < 0) continue;
            fds[i].revents = others[i].revents;
            ready += others[i].revents != 0;
        }
        if (ready || now_ns() >= deadline) return ready;
    }
}
