/*
 * What an auditor found out about one process, all of it from the kernel. look.c fills it,
 * compare.c judges it. Where the kernel would not say, the part's `error` tells why.
 */
#ifndef NATLOCK_AUDIT_FOUND_H
#define NATLOCK_AUDIT_FOUND_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "topology.h"

enum {
	FOUND_SUPERVISOR = ACTOR_COUNT, /* a kind beside those of enum actor_id */
	FOUND_KEEPER, /* `natlock run`: waits for the program of the user; no part of the gateway */
	FOUND_STRANGER, /* a child of the supervisor that is none of the above */
	FOUND_NAME = 24,
	FOUND_TEXT = 64,
	FOUND_LAYERS = 8,      /* filters on top of each other that are looked at */
	FOUND_INSNS = 4096,    /* BPF_MAXINSNS */
	FOUND_FDS = 65536 + 1, /* as many as a natproxy may have, and one that is too many */
	FOUND_MAPPINGS = 512,  /* of executable or shared memory */
	FOUND_ID_LINES = 4,
};

enum found_capability_set {
	FOUND_INHERITABLE,
	FOUND_PERMITTED,
	FOUND_EFFECTIVE,
	FOUND_BOUNDING,
	FOUND_AMBIENT,
	FOUND_SETS
};

/* /proc/PID/status. */
struct found_status {
	char name[FOUND_NAME];
	char state; /* 'S', 'R', ..., 'Z': ended, and nobody has asked yet */
	pid_t parent, tracer;
	unsigned int threads;
	uint32_t uid[4], gid[4]; /* real, effective, saved, file system */
	unsigned int groups;
	uint64_t capabilities[FOUND_SETS];
	int seccomp;	       /* 0 none, 1 strict, 2 filter; -1 not said */
	int layers;	       /* filters; -1 not said (Linux before 5.9) */
	int no_new_privs;      /* -1 not said */
	int innermost_pid;     /* in its own pid namespace */
	unsigned int fd_slots; /* no descriptor has this number or a higher one */
};

/* One line of /proc/PID/uid_map or gid_map. */
struct found_id_line {
	uint32_t inside, outside, count;
};
struct found_ids {
	unsigned int lines; /* FOUND_ID_LINES at most; more count as that many */
	struct found_id_line line[FOUND_ID_LINES];
};

/* Kinds of namespaces, in the order of found_namespace_names. */
enum found_namespace {
	FOUND_USER,
	FOUND_PID,
	FOUND_MNT,
	FOUND_IPC,
	FOUND_UTS,
	FOUND_CGROUP,
	FOUND_NET,
	FOUND_NAMESPACES
};
extern const char *const found_namespace_names[FOUND_NAMESPACES];

/* Limits that are declared, in the order of found_limit_names (as /proc/PID/limits calls them). */
enum found_limit_id {
	FOUND_NPROC,
	FOUND_FSIZE,
	FOUND_CORE,
	FOUND_MEMLOCK,
	FOUND_MSGQUEUE,
	FOUND_LOCKS,
	FOUND_RTPRIO,
	FOUND_NOFILE,
	FOUND_LIMITS
};
extern const char *const found_limit_names[FOUND_LIMITS];
struct found_limit {
	bool known;
	uint64_t soft, hard; /* UINT64_MAX: unlimited */
};

/* /proc/PID/mountinfo. */
struct found_root {
	unsigned int mounts;
	bool is_root, read_only, nosuid, nodev, noexec; /* of the only mount */
	char type[FOUND_NAME];
};

/* What lies behind a descriptor. */
enum found_kind {
	FOUND_OTHER,
	FOUND_NULL, /* /dev/null */
	FOUND_EPOLL,
	FOUND_EVENT,	/* eventfd */
	FOUND_CHANNEL,	/* SOCK_SEQPACKET, Unix */
	FOUND_STREAM,	/* Unix stream */
	FOUND_DATAGRAM, /* Unix datagram */
	FOUND_PACKET,	/* AF_PACKET */
	FOUND_TAP,	/* /dev/net/tun */
	FOUND_TCP,
	FOUND_UDP,
	FOUND_PING,	 /* AF_INET */
	FOUND_NETLINK,	 /* NETLINK_ROUTE */
	FOUND_NETFILTER, /* NETLINK_NETFILTER: the fence around natproxy */
	FOUND_MEMFD,
	FOUND_FILE, /* a plain file */
	FOUND_FOLDER,
	FOUND_ANONYMOUS, /* signalfd, inotify, pidfd */
	FOUND_LOW_PORT,	 /* TCP or UDP, bound below 1024, connected to nobody */
	FOUND_RAW_ECHO,	 /* raw ICMP behind a filter that is locked */
	FOUND_RAW_ESP,	 /* raw ESP behind one */
	FOUND_KINDS
};
struct found_fd {
	int number;
	enum found_kind kind;
	uint64_t id;	       /* of a socket its inode, of an eventfd its number; 0: not known */
	char text[FOUND_TEXT]; /* for a reader, may hold anything */
};

/* Two Unix sockets that are connected, by their inodes. */
struct found_pair {
	uint64_t inode, peer;
};

/* A mapping of /proc/PID/maps that is executable, or shared with others. */
struct found_mapping {
	uint64_t start, end, offset;
	uint64_t device, inode;
	bool read, write, execute, shared;
	bool is_program, is_memfd; /* of the process's own file; of a memfd */
	int seals;		   /* of a memfd, F_SEAL_*; -1 not known */
	char text[FOUND_TEXT];
};

/* The fence around natproxy. */
struct found_fence {
	bool is_held; /* the supervisor has a netfilter socket; else the rest is nothing */
	int error;    /* why it is not known */
	char table[FOUND_NAME];
	bool is_there, is_owned;      /* by a socket: nobody else may change it */
	uint32_t first_uid, last_uid; /* whose packets it judges */
	unsigned int drops;	      /* rules that end so */
	uint64_t dropped;	      /* packets */
};

/* One live filter. */
struct found_layer {
	unsigned int count;
	const struct sock_filter *insns; /* freed by look_free */
};

struct found {
	pid_t pid;
	unsigned int kind;     /* enum actor_id or FOUND_* above */
	char name[FOUND_NAME]; /* "netstack.1": for a reader */
	bool gone;	       /* it ended while it was looked at */

	int status_error;
	struct found_status status;
	int uid_map_error;
	struct found_ids uid_map;
	int namespace_error[FOUND_NAMESPACES];
	uint64_t namespace_inode[FOUND_NAMESPACES];
	int limits_error;
	struct found_limit limit[FOUND_LIMITS];
	int root_error;
	struct found_root root;
	int root_listed_error;
	bool root_is_empty, cwd_is_root;
	int dumpable_error;
	bool is_dumpable;
	int environment_error;
	uint64_t environment_bytes;
	int file_error; /* its program: whether it is the installed file */
	bool is_installed_file;
	char file[FOUND_TEXT];
	int code_error; /* its executable memory against that file's */
	bool is_installed_code;
	int maps_error;
	unsigned int mappings;
	bool more_mappings; /* than there is room for */
	struct found_mapping mapping[FOUND_MAPPINGS];
	int fds_error;
	unsigned int fds;
	struct found_fd *fd; /* freed by look_free */
	int layers_error;
	unsigned int layers;
	struct found_layer layer[FOUND_LAYERS];
	uint64_t stopped_ns; /* how long the process did not run because of us */
};

#endif
