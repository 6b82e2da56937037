"""Under which headings passages of documents of the shared corpus stand, as a reader of the document sees it.

A label: the beginning of a passage, and the headings above it, divided by " > ". Made by reading the documents.
"""

from __future__ import annotations

from collections.abc import Mapping

# Texts of which the corpus has renderings in several formats: the labels hold for every one of them.
OF_TEXTS: Mapping[str, Mapping[str, str]] = {
    "dolphinscheduler__en__quick-start": {
        "In this section, we will use DolphinScheduler": "Quick Start",
        "You have to install and start dolphinscheduler first": "Quick Start > Text Tutorial > Setup Dolphinscheduler",
        "Tenant is an important concept while using": (
            "Quick Start > Text Tutorial > Build Your First Workflow > Create Tenant"
        ),
        "Now we can create a workflow for the project": (
            "Quick Start > Text Tutorial > Build Your First Workflow > Create Workflow"
        ),
        "After all done, we can run the workflow by": (
            "Quick Start > Text Tutorial > Build Your First Workflow > Run Workflow"
        ),
        "If you want to view the task log, please click": (
            "Quick Start > Text Tutorial > Build Your First Workflow > View Log"
        ),
    },
    "dolphinscheduler__en__e2e-test": {
        "E2E, which stands for": (
            "DolphinScheduler E2E Automation Test > I. Preparatory knowledge"
            " > 1. The difference between E2E Test and Unit Test"
        ),
        "A WebDriver is an API and protocol which": (
            "DolphinScheduler E2E Automation Test > I. Preparatory knowledge > 2. Selenium test framework"
        ),
        "DolphinScheduler's E2E tests are deployed using": (
            "DolphinScheduler E2E Automation Test > II. E2E Test > 1. E2E-Pages"
        ),
    },
    "dolphinscheduler__zh__datasource-setting": {
        "我们这里以 MySQL 为例来说明如何配置外部数据库": "数据源配置 > Standalone 切换元数据库",
        "DolphinScheduler 元数据存储在关系型数据库中": "数据源配置 > 伪分布式/分布式安装初始化数据库",
        "数据源中心支持MySQL": "数据源配置 > 数据源中心",
        "我们以 MySQL 为例，如果你想要使用 MySQL 数据源": (
            "数据源配置 > 数据源中心 > 使用不兼容 Apache LICENSE V2 许可的数据库 > 样例"
        ),
    },
    "dolphinscheduler__zh__mlflow": {
        "组件支持的和即将支持的内容": "MLflow节点 > 综述",
        "点击项目管理-项目名称-工作流定义": "MLflow节点 > 创建任务",
        "现在你可以使用这个功能来运行github": "MLflow节点 > 任务样例 > MLflow Projects > Custom projects",
        "你需要进入admin账户配置一个conda": "MLflow节点 > 环境准备 > conda 环境配置",
        "在你想保存实验和模型的地方建立": "MLflow节点 > 环境准备 > MLflow service 启动",
        "如果遇到github无法访问的情况": "MLflow节点 > 环境准备 > 内置算法仓库配置",
    },
    "dolphinscheduler__zh__pseudo-cluster": {
        "服务，该模式下 master、worker、api": "伪集群部署",
        "伪分布式部署 DolphinScheduler 需要有外部软件": "伪集群部署 > 前置准备工作",
        "创建部署用户，并且一定要配置": "伪集群部署 > 准备 DolphinScheduler 启动环境 > 配置用户免密及权限",
        "如果使用 Zookeeper 作为注册中心": "伪集群部署 > 准备 DolphinScheduler 启动环境 > 准备 zookeeper",
        "完成基础环境的准备后": "伪集群部署 > 修改相关配置",
    },
    "dolphinscheduler__zh__pytorch": {
        "与Python任务组件不同": "Pytorch 节点（试验版） > 综述",
        "以上为两个最小化配置运行的参数": "Pytorch 节点（试验版） > 任务样例 > Pytorch参数 > 运行参数",
        "另外如果代码存放在资源中心": "Pytorch 节点（试验版） > 任务样例 > Pytorch参数 > Demo",
        "环境配置主要取决于运行时": "Pytorch 节点（试验版） > 环境配置",
        "适用于worker上已经有运行该项目": "Pytorch 节点（试验版） > 环境配置 > 指定python路径",
        "如果有需要，后续建议可以统一": "Pytorch 节点（试验版） > 其他",
    },
}
# Other documents, by their path below docs/.
_EXAMPLES = {
    "The sample docs directory contains the following files": "Example Docs",
    "You can get an example 10-K in inline XBRL format": "Example Docs > XBRL 10-K",
}
OF_DOCUMENTS: Mapping[str, Mapping[str, str]] = {
    "md/en/unstructured__README.md": _EXAMPLES,
    "rst/en/unstructured__README.rst": _EXAMPLES,
    "org/en/unstructured__README.org": _EXAMPLES,
    "docx/en/markitdown__docx_multipage.docx": {
        "This is the first paragraph on page 1.": "Page 1 - Mixed Content",
        "Building up to the image": "Page 2 - Image at End",
        "Content that follows the header image.": "Page 3 - Image at Start",
    },
    "docx/en/markitdown__test.docx": {
        "AutoGen is an open-source framework that allows": (
            "AutoGen: Enabling Next-Gen LLM Applications via Multi-Agent Conversation > Abstract"
        ),
        "Large language models (LLMs) are becoming a crucial": (
            "AutoGen: Enabling Next-Gen LLM Applications via Multi-Agent Conversation > Introduction"
        ),
    },
    "epub/en/unstructured__winter-sports.epub": {
        "There is an amazingly silly proverb": "WINTER SPORTS IN SWITZERLAND > CHAPTER I THE SUN-SEEKER",
    },
    "md/zh/Langchain-Chatchat__大模型指令对齐训练原理.md": {
        "核心在于通过AI 模型监督其他 AI 模型": "大模型指令对齐训练原理"
    },
    "md/zh/Langchain-Chatchat__大模型推理优化策略.md": {"通过维护一个作业队列实现": "大模型推理优化策略"},
}
