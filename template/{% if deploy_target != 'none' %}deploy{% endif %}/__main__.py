"""The Pulumi program of this model's endpoint. Updated with the template.

Put settings in Pulumi.<stack>.yaml and API keys in keys.yaml (`mlp keys`). `mlp deploy` builds the image and runs this.
"""

from pathlib import Path

from platform_lib.infra.model.stack import deploy_model
from platform_lib.settings import find_project

FOLDER = Path(__file__).resolve().parent

deploy_model(find_project(FOLDER).name, FOLDER)
