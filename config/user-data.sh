#!/bin/sh
# User data of an EC2 instance with Amazon Linux 2023: installs s3-index-worker from s3://RELEASE and starts it.
# The role needs config/iam/release.json. What it does is in /var/log/cloud-init-output.log; see docs/ec2.md.
set -eux
release=s3://our-releases/s3-index-worker
source=/usr/local/src/s3-index-worker

dnf install -y make python3.12 jq # python3 is 3.9 here, and stays it
mkdir -p "$source" /etc/s3-index-worker
aws s3 cp --no-progress "$release/source.tar.gz" - | tar -xz -C "$source"
aws s3 cp --no-progress "$release/worker.env" /etc/s3-index-worker/worker.env
make -C "$source" install

# sudo finds commands only in these folders, and may leave out /usr/local/bin.
echo 'Defaults secure_path = /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' >/etc/sudoers.d/s3-index-worker
chmod 0440 /etc/sudoers.d/s3-index-worker

# One worker for each core. One that fails at the start is started again, and says why in the journal.
for number in $(seq "$(nproc)"); do
  systemctl enable --now "s3-index-worker@$number"
done

# The journal, where the role may send it (config/iam/logs.json).
if dnf install -y amazon-cloudwatch-agent; then
  /opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl -a fetch-config -m ec2 -s \
    -c "file:$source/config/cloudwatch-agent.json" || echo 'the journal is not sent: is the agent older than 1.300070?'
fi
/usr/local/bin/s3-index-worker doctor || true
