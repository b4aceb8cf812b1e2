#!/bin/bash
# Pre-trains on several nodes, and goes on by itself after the time limit and after a lost rank (docs/clusters.md):
#
#   sbatch docs/clusters/slurm.sh RUN CONFIG.yaml --data TEXTS…
#
# The folder of the run and the texts lie where all nodes see them. Submit it from the folder where taper is installed.
#SBATCH --job-name=taper
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-node=4
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=taper-%j.log
# One task is one rank. Give GPUs to the node, not to the task: a rank takes the GPU of its own number among all of its node.
# Without GPUs leave --gpus-per-node out. 300 seconds before the time limit the ranks hear SIGTERM, finish the step, save and end.

run=${1:?the folder of the run is missing: sbatch slurm.sh RUN CONFIG.yaml --data TEXTS}
shift
newest() { cat "$run/checkpoints/latest" 2>/dev/null; }

before=$(newest)
# Since Slurm 22.05 srun no longer takes this from the job.
export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1}
# The others find out themselves which rank is gone.
srun --kill-on-bad-exit=0 "${TAPER:-node_modules/.bin/taper-lm}" \
  pretrain "$@" --out "$run" --resume --set "train.threads=$SRUN_CPUS_PER_TASK"
code=$?
after=$(newest)
echo "slurm.sh: exit code $code, checkpoint ${after:-none}" >&2

# 75: a rank is gone, nothing is wrong with the others; 128 and more: a signal ended a rank, or all after they had saved. A job
# that got no further since it began is not started again, nor one that made a mistake (2) or failed (1).
if ((code == 75 || code >= 128)) && [ "$after" != "$before" ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
