// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Migration, of a policy that says what its state is. States, arcs and what becomes of a stream are
 * those of linux/vfio.h, version 2: the core's table (vfio_mig_get_next_state) gives the way, the
 * policy makes each arc, and both are under the policy lock, which is what other drivers' state
 * mutex is. A reset ends a migration from any state, by the note that reset.c leaves.
 *
 * The stream's file stays when the device is closed and even when it is unbound, as long as a user
 * has it open. It holds this module and the memory of struct mediant_device, and nothing else: what
 * it may do it knows from that device's `stream`, which names the one file that is good now. So no
 * file is disabled behind its own lock, and a reset only clears a pointer.
 *
 * Lock order: a stream's lock, policy lock. User memory is touched under the former alone.
 */
#include <linux/anon_inodes.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/pm_runtime.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "device.h"

/* Bytes that are read or written in one call into the policy. */
#define MEDIANT_STREAM_PIECE 4096

struct mediant_stream {
	struct mediant_device *mdev; /* its memory is held */
	struct mutex lock; /* one reader or writer at a time; guards what follows */
	size_t at, filled; /* bytes of the policy's that the user has not taken yet */
	u8 bytes[MEDIANT_STREAM_PIECE];
};

/*
 * Takes the policy lock, if the stream is still good, and has the device awake, which a policy
 * fetches its state from. -ENODEV: the state or the device has left it, or it was reset.
 */
static int mediant_stream_enter(struct mediant_stream *stream)
{
	struct mediant_device *mdev = stream->mdev;
	int ret = -ENODEV;

	mediant_lock(mdev);
	if (mdev->stream == stream)
		ret = pm_runtime_resume_and_get(&mdev->core.pdev->dev) ? -EIO : 0;
	if (ret)
		mediant_unlock(mdev);
	return ret;
}

static void mediant_stream_leave(struct mediant_stream *stream)
{
	struct mediant_device *mdev = stream->mdev;

	/* Under the lock: nobody unbinds a device that is open, and behind it, it may be. */
	pm_runtime_put(&mdev->core.pdev->dev);
	mediant_unlock(mdev);
}

static bool mediant_is_pre_copy(unsigned int state)
{
#ifdef VFIO_MIGRATION_PRE_COPY
	return state == VFIO_DEVICE_STATE_PRE_COPY || state == VFIO_DEVICE_STATE_PRE_COPY_P2P;
#else
	return false;
#endif
}

/* Bytes that there are for the user then, 0 at the stream's end, or -errno. */
static ssize_t mediant_stream_fill(struct mediant_stream *stream)
{
	struct mediant_device *mdev = stream->mdev;
	long long ret;

	ret = mediant_stream_enter(stream);
	if (ret)
		return ret;
	if (stream->at == stream->filled) {
		ret = mdev->provider->read_migration(mdev->state, stream->bytes,
						     sizeof(stream->bytes));
		stream->at = 0;
		stream->filled = clamp_t(long long, ret, 0, sizeof(stream->bytes));
		if (!ret && mediant_is_pre_copy(mdev->provider->migration_state(mdev->state)))
			ret = -ENOMSG; /* for now */
	}
	mediant_stream_leave(stream);
	return ret < 0 ? ret : stream->filled - stream->at;
}

static ssize_t mediant_stream_read(struct file *file, char __user *buf, size_t count, loff_t *pos)
{
	struct mediant_stream *stream = file->private_data;
	size_t done = 0;
	ssize_t ret = 0;

	if (mutex_lock_interruptible(&stream->lock))
		return -ERESTARTSYS;
	while (done < count) {
		size_t size, left;

		ret = mediant_stream_fill(stream);
		if (ret <= 0)
			break;
		size = min_t(size_t, ret, count - done);
		left = copy_to_user(buf + done, stream->bytes + stream->at, size);
		/* What did not reach the user comes again. */
		stream->at += size - left;
		done += size - left;
		if (left) {
			ret = -EFAULT;
			break;
		}
		cond_resched();
		if (signal_pending(current)) {
			ret = -EINTR;
			break;
		}
	}
	mutex_unlock(&stream->lock);
	return done ?: ret;
}

static void mediant_report_stream(struct mediant_device *mdev)
{
	struct mediant_stream_report report;

	mdev->provider->migration_report(mdev->state, &report);
	if (!report.wrong)
		return;
	pci_info_ratelimited(mdev->core.pdev,
			     "provider %s: a migration's stream was refused at byte %llu%s%.*s%s%.*s: %.*s\n",
			     mdev->provider->name, report.offset, report.party_size ? ", " : "",
			     (int)report.party_size, report.party ?: "",
			     report.field_size ? " " : "", (int)report.field_size,
			     report.field ?: "", (int)report.what_size, report.what);
}

static int mediant_stream_take(struct mediant_stream *stream, size_t count)
{
	struct mediant_device *mdev = stream->mdev;
	int ret;

	ret = mediant_stream_enter(stream);
	if (ret)
		return ret;
	ret = mdev->provider->write_migration(mdev->state, stream->bytes, count);
	if (ret)
		mediant_report_stream(mdev);
	mediant_stream_leave(stream);
	return ret;
}

/* A write of which some is refused may count as short: then the next one is refused. */
static ssize_t mediant_stream_write(struct file *file, const char __user *buf, size_t count,
				    loff_t *pos)
{
	struct mediant_stream *stream = file->private_data;
	size_t done = 0;
	int ret = 0;

	if (mutex_lock_interruptible(&stream->lock))
		return -ERESTARTSYS;
	while (done < count) {
		size_t size = min_t(size_t, count - done, sizeof(stream->bytes));

		if (copy_from_user(stream->bytes, buf + done, size)) {
			ret = -EFAULT;
			break;
		}
		ret = mediant_stream_take(stream, size);
		if (ret)
			break;
		done += size;
		cond_resched();
		if (signal_pending(current)) {
			ret = -EINTR;
			break;
		}
	}
	mutex_unlock(&stream->lock);
	return done ?: ret;
}

#ifdef VFIO_MIGRATION_PRE_COPY
static int mediant_precopy_request(struct mediant_device *mdev, unsigned int cmd, unsigned long arg,
				   struct vfio_precopy_info *info)
{
#ifdef HAVE_VFIO_CHECK_PRECOPY_IOCTL
	return vfio_check_precopy_ioctl(&mdev->core.vdev, cmd, arg, info);
#else
	size_t minsz = offsetofend(struct vfio_precopy_info, dirty_bytes);

	if (cmd != VFIO_MIG_GET_PRECOPY_INFO)
		return -ENOTTY;
	if (copy_from_user(info, (void __user *)arg, minsz))
		return -EFAULT;
	return info->argsz < minsz ? -EINVAL : 0;
#endif
}

/* What can be read ahead is what a target needs to know whether it can take the rest; once. */
static long mediant_stream_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct mediant_stream *stream = file->private_data;
	struct mediant_device *mdev = stream->mdev;
	struct vfio_precopy_info info = {};
	long ret;

	ret = mediant_precopy_request(mdev, cmd, arg, &info);
	if (ret)
		return ret;

	if (mutex_lock_interruptible(&stream->lock))
		return -ERESTARTSYS;
	ret = mediant_stream_enter(stream);
	if (!ret) {
		info.initial_bytes = mdev->provider->migration_ahead(mdev->state) +
				     stream->filled - stream->at;
		info.dirty_bytes = 0;
		if (!mediant_is_pre_copy(mdev->provider->migration_state(mdev->state)))
			ret = -EINVAL;
		mediant_stream_leave(stream);
	}
	mutex_unlock(&stream->lock);
	if (ret)
		return ret;
	return copy_to_user((void __user *)arg, &info,
			    offsetofend(struct vfio_precopy_info, dirty_bytes)) ? -EFAULT : 0;
}
#endif

static int mediant_stream_release(struct inode *inode, struct file *file)
{
	struct mediant_stream *stream = file->private_data;
	struct mediant_device *mdev = stream->mdev;

	mediant_lock(mdev);
	if (mdev->stream == stream)
		mdev->stream = NULL;
	mediant_unlock(mdev);
	put_device(&mdev->core.vdev.device);
	mutex_destroy(&stream->lock);
	kvfree(stream);
	return 0;
}

static const struct file_operations mediant_save_fops = {
	.owner = THIS_MODULE,
	.read = mediant_stream_read,
#ifdef VFIO_MIGRATION_PRE_COPY
	.unlocked_ioctl = mediant_stream_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
#endif
	.release = mediant_stream_release,
};

static const struct file_operations mediant_resume_fops = {
	.owner = THIS_MODULE,
	.write = mediant_stream_write,
	.release = mediant_stream_release,
};

/* A file that is not good yet: who makes it says so, when the device is in its state. */
static struct file *mediant_open_stream(struct mediant_device *mdev, bool saves)
{
	struct mediant_stream *stream;
	struct file *file;

	stream = kvzalloc(sizeof(*stream), GFP_KERNEL_ACCOUNT);
	if (!stream)
		return ERR_PTR(-ENOMEM);
	file = anon_inode_getfile("mediant_migration",
				  saves ? &mediant_save_fops : &mediant_resume_fops, stream,
				  saves ? O_RDONLY : O_WRONLY);
	if (IS_ERR(file)) {
		kvfree(stream);
		return file;
	}
	stream_open(file_inode(file), file);
	mutex_init(&stream->lock);
	stream->mdev = mdev;
	get_device(&mdev->core.vdev.device);
	return file;
}

static bool mediant_saves(unsigned int state)
{
	return state == VFIO_DEVICE_STATE_STOP_COPY || mediant_is_pre_copy(state);
}

/* One arc: NULL, or the file of the stream that begins. The policy lock must be held. */
static struct file *mediant_make_arc(struct mediant_device *mdev, unsigned int from,
				     unsigned int to)
{
	bool saves = mediant_saves(to);
	struct file *file = NULL;
	unsigned int now;
	int ret;

	if (to == VFIO_DEVICE_STATE_RESUMING || (saves && !mediant_saves(from))) {
		file = mediant_open_stream(mdev, saves);
		if (IS_ERR(file))
			return file;
	}
	ret = mdev->provider->migrate(mdev->state, to);
	if (ret && from == VFIO_DEVICE_STATE_RESUMING)
		mediant_report_stream(mdev);
	/* A stream ends where its states do, also where the next one is the error state. */
	now = mdev->provider->migration_state(mdev->state);
	if (now != from && !(mediant_saves(from) && mediant_saves(now)))
		mdev->stream = NULL;
	if (ret) {
		if (file)
			fput(file); /* released later, without this lock */
		return ERR_PTR(ret);
	}
	if (file)
		mdev->stream = file->private_data;
	return file;
}

static struct file *mediant_go(struct mediant_device *mdev, enum vfio_device_mig_state to)
{
	struct vfio_device *core_vdev = &mdev->core.vdev;
	struct file *file = NULL;

	for (;;) {
		enum vfio_device_mig_state from = mdev->provider->migration_state(mdev->state);
		enum vfio_device_mig_state next;
		int ret;

		if (from == to)
			return file;
		/* No way leads out of the error state, and to be asked for one the core warns. */
		if (from == VFIO_DEVICE_STATE_ERROR)
			ret = -EINVAL;
		else
			ret = vfio_mig_get_next_state(core_vdev, from, to, &next);
		if (!ret && WARN_ON(file))
			ret = -EINVAL; /* no stream is passed through */
		if (ret) {
			if (file)
				fput(file);
			return ERR_PTR(ret);
		}
		file = mediant_make_arc(mdev, from, next);
		if (IS_ERR(file))
			return file;
	}
}

static struct file *mediant_set_state(struct vfio_device *core_vdev, enum vfio_device_mig_state to)
{
	struct mediant_device *mdev = mediant_of_vdev(core_vdev);
	struct device *dev = &mdev->core.pdev->dev;
	struct file *file;

	if (pm_runtime_resume_and_get(dev))
		return ERR_PTR(-EIO);
	mediant_lock(mdev);
	file = mediant_go(mdev, to);
	mediant_unlock(mdev);
	pm_runtime_put(dev);
	return file;
}

static int mediant_get_state(struct vfio_device *core_vdev, enum vfio_device_mig_state *state)
{
	struct mediant_device *mdev = mediant_of_vdev(core_vdev);

	mediant_lock(mdev);
	*state = mdev->provider->migration_state(mdev->state);
	mediant_unlock(mdev);
	return 0;
}

#ifdef HAVE_MIGRATION_GET_DATA_SIZE
static int mediant_get_data_size(struct vfio_device *core_vdev, unsigned long *size)
{
	struct mediant_device *mdev = mediant_of_vdev(core_vdev);

	mediant_lock(mdev);
	*size = mdev->provider->migration_size(mdev->state);
	mediant_unlock(mdev);
	return 0;
}
#endif

static const struct vfio_migration_ops mediant_migration_ops = {
	.migration_set_state = mediant_set_state,
	.migration_get_state = mediant_get_state,
#ifdef HAVE_MIGRATION_GET_DATA_SIZE
	.migration_get_data_size = mediant_get_data_size,
#endif
};

/* What this kernel knows of. */
static unsigned int mediant_migration_flags(const struct mediant_provider *provider)
{
	unsigned int known = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P;

#ifdef VFIO_MIGRATION_PRE_COPY
	known |= VFIO_MIGRATION_PRE_COPY;
#endif
	return provider->migration_flags & known;
}

/*
 * Whether a device migrates depends on who opened it, which for the host is not known before, and
 * with pass_through is nobody. linux/vfio.h wants the operations to be set when the device is
 * registered, where they are checked to be whole, and the flags with them; but the core asks for
 * them in requests of an open device alone. It makes none before open_device() has returned, nor
 * when close_device() is called, so that they are set and taken back there. Set at registration
 * they would promise a migration to each user of the device, and the core answers what is asked of
 * it before the driver could say otherwise. (Its files in debugfs are for devices that had them
 * then: there are none of this one.)
 */
void mediant_offer_migration(struct mediant_device *mdev)
{
	struct vfio_device *core_vdev = &mdev->core.vdev;

	if (!mdev->provider || !mediant_migration_flags(mdev->provider))
		return;
	core_vdev->migration_flags = mediant_migration_flags(mdev->provider);
	core_vdev->mig_ops = &mediant_migration_ops;
}

/* The policy's state is about to go: a stream that a user still has is good for nothing. */
void mediant_end_migration(struct mediant_device *mdev)
{
	struct vfio_device *core_vdev = &mdev->core.vdev;

	core_vdev->log_ops = NULL;
	core_vdev->mig_ops = NULL;
	core_vdev->migration_flags = 0;
	mediant_lock(mdev);
	mdev->stream = NULL;
	mediant_unlock(mdev);
}
